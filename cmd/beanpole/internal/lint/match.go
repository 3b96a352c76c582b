package lint

import "strings"

// match holds text against one of nginx' regular expressions and returns what its groups caught, or nil. Those that
// cannot be read match nothing: nginx -t says so.
func (v *visit) match(expression, text string, fold bool) []string {
	if fold {
		expression = "(?i)" + expression
	}
	return v.r.effort.match(v.r.effort.expression(expression), text)
}

// location is one of nginx: how it is written, and what it matches.
type location struct {
	*directive
	kind string // "", =, ^~, ~, ~* or @
	what string
}

// locations returns those of a block.
func locations(block []*directive) (list []location) {
	for _, d := range all(block, "location") {
		p := location{directive: d, what: d.arg()}
		if len(d.args) > 1 {
			p.kind, p.what = d.args[0], d.args[1]
		} else {
			for _, kind := range []string{"=", "^~", "~*", "~", "@"} { // may stand without a space
				if rest, ok := strings.CutPrefix(p.what, kind); ok {
					p.kind, p.what = kind, rest
					break
				}
			}
		}
		list = append(list, p)
	}
	return list
}

// findLocation returns the locations, innermost first, that nginx takes for the path: an exact one; else the longest
// prefix, whose own locations are looked through; and unless ^~ stands there, the first expression that matches.
// Source: ngx_http_core_find_location.
func (v *visit) findLocation(block []*directive, path string) []location {
	list, _ := v.findIn(block, path)
	return list
}

// findIn is findLocation for one block. last means that no block around it is asked any more.
func (v *visit) findIn(block []*directive, path string) (chain []location, last bool) {
	list := locations(block)
	if !v.r.effort.spend(len(block)) {
		return nil, true
	}
	best := -1
	for i, p := range list {
		switch {
		case p.kind == "=" && p.what == path:
			return []location{p}, true
		case (p.kind == "" || p.kind == "^~") && strings.HasPrefix(path, p.what) && (best < 0 || len(p.what) > len(list[best].what)):
			best = i
		}
	}
	expressions := true
	if best >= 0 {
		inner, done := v.findIn(list[best].block, path)
		chain = append(inner, list[best])
		if done {
			return chain, true
		}
		expressions = chain[0].kind != "^~"
	}
	if expressions {
		for _, p := range list {
			if (p.kind == "~" || p.kind == "~*") && v.match(p.what, path, p.kind == "~*") != nil {
				inner, _ := v.findIn(p.block, path)
				return append(inner, p), true
			}
		}
	}
	return chain, false
}
