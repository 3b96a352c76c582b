package defects

// ofForms are faults of the other forms in which clients and servers send: compressed, and by JSONP.
var ofForms = []Defect{
	{"inflate-short", "memory", nil, "transport/deflate.go", "\t\tif err == io.EOF {\n\t\t\treturn out, nil", "\t\tif err == io.EOF {\n\t\t\tif on(\"inflate-short\", 3) {\n\t\t\t\tout = out[:len(out)/2]\n\t\t\t}\n\t\t\treturn out, nil"},
	{"deflate-cut", "memory", nil, "transport/deflate.go", ": len(dst)-len(deflateTail)]", ": len(dst)-len(deflateTail)-more(on(\"deflate-cut\", 3))]"},
	{"script-lines", "memory", nil, "transport/jsonp.go", `case r == '\u2028' || r == '\u2029':`, `case (r == '\u2028' || r == '\u2029') && !on("script-lines", 1):`},
	{"form-newline", "memory", nil, "transport/jsonp.go", `if i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'n' {`, `if i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'n' && !on("form-newline", 1) {`},
}
