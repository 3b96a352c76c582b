package lint

import (
	"fmt"
	"strings"
)

// directive is one directive of nginx, with its block if it has one.
type directive struct {
	name  string
	args  []string
	block []*directive
	isBlk bool
	file  string
	line  int
}

// arg returns the first argument or "".
func (d *directive) arg() string {
	if d == nil || len(d.args) == 0 {
		return ""
	}
	return d.args[0]
}

// token is a word, a quoted word, or one of { } ;.
type token struct {
	text   string
	quoted bool
	line   int
}

// maxWord is the size up to which nginx takes a word (NGX_CONF_BUFFER).
const maxWord = 4096

// tokens splits a configuration as nginx does (ngx_conf_read_token): a # begins a comment only at the begin of a word, quotes and
// ${name} keep what is inside together.
func tokens(text string) (list []token, err error) {
	line := 1
	for i := 0; i < len(text); {
		start, begin := i, line
		switch c := text[i]; {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '{' || c == '}' || c == ';':
			list = append(list, token{string(c), false, line})
			i++
		case c == '"' || c == '\'':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				if text[i] == '\n' {
					line++
				}
			}
			list = append(list, token{unescape(text[start+1 : min(i, len(text))]), true, begin})
			i++
			if i < len(text) && !strings.ContainsRune(" \t\r\n;{)", rune(text[i])) {
				return nil, &nginxError{line, fmt.Sprintf("unexpected %q behind a quote", text[i:i+1])}
			}
		default:
			for i < len(text) && !strings.ContainsRune(" \t\r\n;", rune(text[i])) {
				if text[i] == '\\' && i+1 < len(text) && text[i+1] != '\n' { // it keeps the meaning from what follows
					i += 2
					continue
				}
				if text[i] == '{' {
					if i == start || text[i-1] != '$' {
						break
					}
					for i < len(text) && text[i] != '}' && text[i] != '\n' {
						i++
					}
					if i == len(text) {
						break
					}
				}
				i++
			}
			list = append(list, token{unescape(text[start:min(i, len(text))]), false, line})
		}
		if n := len(list); i-start > maxWord && n > 0 && text[start] != '#' {
			return nil, &nginxError{begin, fmt.Sprintf("a word of more than %d bytes", maxWord)}
		}
	}
	return list, nil
}

// escapes are those that nginx knows in words, quoted or not.
var escapes = strings.NewReplacer(`\"`, `"`, `\'`, `'`, `\\`, `\`, `\t`, "\t", `\r`, "\r", `\n`, "\n")

func unescape(word string) string { return escapes.Replace(word) }

// parseNginx reads one file.
func parseNginx(file string, text []byte) ([]*directive, error) {
	words, err := tokens(string(text))
	if err != nil {
		return nil, err
	}
	p := &nginxParser{file: file, tokens: words}
	list, err := p.block(0)
	if err == nil && p.at < len(p.tokens) {
		err = p.errorf("unexpected %q", p.tokens[p.at].text)
	}
	return list, err
}

type nginxParser struct {
	file   string
	tokens []token
	at     int
}

// nginxError is a place where the syntax ends.
type nginxError struct {
	line int
	text string
}

// Error returns the text.
func (e *nginxError) Error() string { return e.text }

func (p *nginxParser) errorf(format string, args ...any) error {
	line := 0
	if len(p.tokens) > 0 {
		line = p.tokens[min(p.at, len(p.tokens)-1)].line
	}
	return &nginxError{line, fmt.Sprintf(format, args...)}
}

// maxDepth bounds blocks in blocks; nginx's own contexts are six deep.
const maxDepth = 32

func (p *nginxParser) block(depth int) (list []*directive, err error) {
	if depth > maxDepth {
		return nil, p.errorf("blocks are nested too deeply")
	}
	for p.at < len(p.tokens) {
		t := p.tokens[p.at]
		if !t.quoted && t.text == "}" {
			if depth == 0 {
				return nil, p.errorf("unexpected %q", "}")
			}
			return list, nil
		}
		d := &directive{name: t.text, file: p.file, line: t.line}
		for p.at++; ; p.at++ {
			if p.at == len(p.tokens) {
				return nil, p.errorf("%s does not end with ; or {", d.name)
			}
			t = p.tokens[p.at]
			if !t.quoted && (t.text == ";" || t.text == "{" || t.text == "}") {
				break
			}
			d.args = append(d.args, t.text)
		}
		switch t.text {
		case "}":
			return nil, p.errorf("%s does not end with ;", d.name)
		case "{":
			p.at++
			d.isBlk = true
			if d.block, err = p.block(depth + 1); err != nil {
				return nil, err
			}
			if p.at == len(p.tokens) {
				return nil, p.errorf("the block of %s (line %d) does not end", d.name, d.line)
			}
		}
		p.at++
		list = append(list, d)
	}
	return list, nil
}
