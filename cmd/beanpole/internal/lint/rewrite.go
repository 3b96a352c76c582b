package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// visit is the way of one request through nginx.
type visit struct {
	http     *directive
	server   *directive
	scope    []*directive // the blocks that hold where it is
	r        request
	path     string            // as rewritten so far
	set      map[string]string // variables of set, and of groups
	captured []string
	moved    bool       // rewrite has changed the path in this location
	again    bool       // a location has to be looked for anew
	inner    *directive // the last if that holds
	depth    int        // of maps that ask for maps
	asked    int        // maps so far
}

// rewrite runs the directives of ngx_http_rewrite_module in the first block of scope. done means that one has answered;
// stop, that no more are run.
func (v *visit) rewrite(scope []*directive, stop *bool) (a answer, done bool) {
	for _, d := range scope[0].block {
		v.scope = scope
		if *stop || !v.r.effort.spend(1) {
			break
		}
		switch d.name {
		case "return":
			return answer{code: returned(v.expand(d.arg())), by: d, scope: scope}, true
		case "set":
			if len(d.args) == 2 {
				v.set[strings.TrimPrefix(d.args[0], "$")] = v.expand(d.args[1])
			}
		case "break":
			*stop = true
		case "rewrite":
			if code := v.rewritten(d, stop); code != 0 {
				return answer{code: code, by: d, scope: scope}, true
			}
		case "if":
			if v.holds(d.args) {
				v.inner = d
				if a, done = v.rewrite(append([]*directive{d}, scope...), stop); done {
					return a, true
				}
			}
		}
	}
	return a, false
}

// returned is the code of return, whose first word may be a URL.
func returned(word string) int {
	if n, err := strconv.Atoi(word); err == nil {
		return n
	}
	return 302
}

// rewritten does one rewrite. It returns the code of a redirect, or 0.
func (v *visit) rewritten(d *directive, stop *bool) int {
	if len(d.args) < 2 {
		return 0
	}
	groups := v.match(d.args[0], v.path, false)
	if groups == nil {
		return 0
	}
	v.captured = groups
	to, flag := d.args[1], ""
	if len(d.args) > 2 {
		flag = d.args[2]
	}
	switch {
	case flag == "permanent":
		return 301
	case flag == "redirect", strings.HasPrefix(to, "http://"), strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "$scheme"):
		return 302
	}
	path, query, other := strings.Cut(v.expand(to), "?")
	if other && query == "" { // a ? at the end leaves the query of before out
		v.set["args"] = ""
	} else if other {
		v.set["args"] = strings.TrimSuffix(query, "?")
		if !strings.HasSuffix(query, "?") {
			v.set["args"] += "&" + v.r.query
		}
	}
	v.path, v.moved = path, true
	*stop = flag == "break" || flag == "last"
	v.again = flag != "break" // a location is looked for anew when this block has been run
	return 0
}

// holds is the condition of an if.
func (v *visit) holds(args []string) bool {
	words := append([]string(nil), args...)
	if len(words) == 0 {
		return false
	}
	words[0] = strings.TrimPrefix(words[0], "(")
	words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], ")")
	var parts []string
	for _, w := range words {
		if w != "" || len(parts) == 2 {
			parts = append(parts, w)
		}
	}
	switch {
	case len(parts) == 1:
		value := v.expand(parts[0])
		return value != "" && value != "0"
	case len(parts) == 2:
		return strings.HasPrefix(parts[0], "!-") // there is no file
	case len(parts) < 2:
		return false
	}
	left, right := v.expand(parts[0]), parts[2]
	switch parts[1] {
	case "=":
		return left == v.expand(right)
	case "!=":
		return left != v.expand(right)
	case "~", "~*":
		groups := v.match(right, left, parts[1] == "~*")
		if groups != nil {
			v.captured = groups
		}
		return groups != nil
	case "!~", "!~*":
		return v.match(right, left, parts[1] == "!~*") == nil
	}
	return false
}

// peer is the address that nginx gets requests from.
const peer = "10.0.0.10"

var variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// maxValue bounds the value of a variable, in bytes. Those that are made of one another may double each time.
const maxValue = 16 << 10

// expand puts the values of variables into text. What is not known is empty.
func (v *visit) expand(text string) string {
	size := len(text)
	out := variable.ReplaceAllStringFunc(text, func(word string) string {
		if size > maxValue {
			return ""
		}
		value := v.value(strings.Trim(word, "${}"))
		size += len(value)
		return value
	})
	if size > maxValue {
		v.r.effort.spend(maxEffort)
	}
	v.r.effort.spend(size)
	return out[:min(len(out), maxValue)]
}

func (v *visit) value(name string) string {
	if value, ok := v.set[name]; ok {
		return value
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n < len(v.captured) {
			return v.captured[n]
		}
		return ""
	}
	if header, ok := strings.CutPrefix(name, "http_"); ok && header != "host" {
		return v.r.header[header]
	}
	if arg, ok := strings.CutPrefix(name, "arg_"); ok {
		for pair := range strings.SplitSeq(v.r.query, "&") {
			if k, value, _ := strings.Cut(pair, "="); k == arg {
				return value
			}
		}
		return ""
	}
	switch name {
	case "uri", "document_uri":
		return v.path
	case "request_uri":
		if v.r.query != "" {
			return v.r.path + "?" + v.r.query
		}
		return v.r.path
	case "args", "query_string":
		return v.r.query
	case "is_args":
		if v.value("args") != "" {
			return "?"
		}
		return ""
	case "host", "http_host", "server_name":
		return v.r.host
	case "scheme":
		return "http"
	case "remote_addr", "binary_remote_addr":
		return peer
	case "proxy_add_x_forwarded_for":
		if before := v.r.header["x_forwarded_for"]; before != "" {
			return before + ", " + peer
		}
		return peer
	case "request_method":
		return v.r.method
	case "server_port":
		return v.r.port
	case "invalid_referer": // neither WebSockets of browsers nor load balancers have one
		if d := inherited(v.scope, "valid_referers"); d != nil && !slices.Contains(d.args, "none") {
			return "1"
		}
		return ""
	}
	return v.mapped(name)
}

// Maps may ask for one another, so often.
const (
	maxMaps   = 8    // deep
	maxMapped = 1000 // for one request
)

// mapped is the value of a variable that a map makes.
func (v *visit) mapped(name string) string {
	if v.asked++; v.depth >= maxMaps || v.asked > maxMapped {
		return ""
	}
	v.depth++
	defer func() { v.depth-- }()
	if !v.r.effort.spend(len(v.http.block)) {
		return ""
	}
	for _, m := range all(v.http.block, "map") {
		v.r.effort.spend(len(m.block))
		if len(m.args) != 2 || m.args[1] != "$"+name {
			continue
		}
		source, fallback := v.expand(m.args[0]), ""
		for _, line := range m.block {
			switch key := strings.TrimPrefix(line.name, `\`); {
			case line.name == "default":
				fallback = line.arg()
			case strings.HasPrefix(line.name, "~"):
				expression, fold := line.name[1:], false
				if strings.HasPrefix(expression, "*") {
					expression, fold = expression[1:], true
				}
				if v.match(expression, source, fold) != nil {
					return v.expand(line.arg())
				}
			case strings.EqualFold(key, source):
				return v.expand(line.arg())
			}
		}
		return v.expand(fallback)
	}
	return ""
}
