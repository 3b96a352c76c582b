package zishang

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/zishang520/engine.io/v2/types"

	"github.com/beanpole/beanpole/internal/origin"
	"github.com/beanpole/beanpole/transport"
)

// corsOf turns the library's options into transport's. The library echoes a refused origin as "false" and
// serves the request; here transport refuses it.
func corsOf(o *types.Cors) (*transport.CORS, error) {
	c := &transport.CORS{Credentials: o.Credentials}
	var err error
	if c.Methods, err = list(o.Methods); err != nil {
		return nil, fmt.Errorf("methods: %w", err)
	}
	headers := o.AllowedHeaders
	if headers == nil {
		headers = o.Headers
	}
	if c.Headers, err = list(headers); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	if c.Exposed, err = list(o.ExposedHeaders); err != nil {
		return nil, fmt.Errorf("exposed headers: %w", err)
	}
	if o.MaxAge != "" {
		seconds, err := strconv.Atoi(o.MaxAge)
		if err != nil {
			return nil, fmt.Errorf("max age: %w", err)
		}
		c.MaxAge = time.Duration(seconds) * time.Second
	}
	if o.Origin == nil || o.Origin == "*" {
		// With credentials the library sends both headers, and browsers refuse credentials then.
		c.Origins, c.Credentials = []string{"*"}, false
		return c, nil
	}
	pages, patterns, err := origins(o.Origin)
	if o.Credentials && slices.Contains(pages, "*") {
		return nil, fmt.Errorf("origin %v with credentials: those would go to pages of anybody: name the origins", o.Origin)
	}
	if err == nil && len(pages) > 0 {
		err = (&transport.CORS{Origins: pages, Credentials: o.Credentials}).Check()
	}
	for _, re := range patterns {
		if err == nil && o.Credentials {
			err = checkCredentials(re)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case slices.Contains(pages, "*") || len(pages) > 0 && len(patterns) == 0:
		c.Origins = pages
		return c, nil
	}
	matches := func(page string) bool {
		return slices.ContainsFunc(patterns, func(re *regexp.Regexp) bool { return re.MatchString(page) })
	}
	c.AllowOrigin = func(_ *http.Request, page string) bool {
		// What a regular expression lets in is not known before it is asked.
		return slices.Contains(pages, page) || matches(page) && !(o.Credentials && origin.Anybodys(page, matches))
	}
	return c, nil
}

// origins takes a rule of the library's apart.
func origins(rule any) (pages []string, patterns []*regexp.Regexp, err error) {
	switch rule := rule.(type) {
	case string:
		pages = []string{rule}
	case []string:
		pages = rule
	case bool:
		if rule {
			pages = []string{"*"}
		}
	case *regexp.Regexp:
		patterns = []*regexp.Regexp{rule}
	case []any:
		for _, r := range rule {
			p, re, err := origins(r)
			if err != nil {
				return nil, nil, err
			}
			pages, patterns = append(pages, p...), append(patterns, re...)
		}
	default:
		err = fmt.Errorf("origin is a %T; it may be text, true or false, a regular expression or a list of them", rule)
	}
	return pages, patterns, err
}

// strangers are origins that only a rule which gives anybody's pages credentials allows.
var strangers = []string{"https://nobody.invalid", "http://nobody.invalid", "https://nobody.com", "https://nobody.co.uk",
	"https://nobody.github.io", "https://nobody.vercel.app", origin.Null, origin.File}

// checkCredentials reports what is wrong with an expression for origins whose pages get credentials.
func checkCredentials(re *regexp.Regexp) error {
	if slices.ContainsFunc(strangers, re.MatchString) {
		return errors.New("credentials would go to pages of anybody: name the origins")
	}
	if tree, err := syntax.Parse(re.String(), syntax.Perl); err != nil || !anchored(tree, true) || !anchored(tree, false) {
		return fmt.Errorf("with credentials the regular expression %q must begin with ^ and end with $: pages of anybody "+
			"have origins with anything around it", re)
	}
	return nil
}

// anchored reports whether all that re matches begins where the text does, or ends where that does.
func anchored(re *syntax.Regexp, begin bool) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return begin
	case syntax.OpEndText:
		return !begin
	case syntax.OpCapture:
		return anchored(re.Sub[0], begin)
	case syntax.OpConcat:
		if end := len(re.Sub) - 1; !begin {
			return anchored(re.Sub[end], begin)
		}
		return anchored(re.Sub[0], begin)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !anchored(sub, begin) })
	}
	return false
}

// list reads a list that may also be written as one text with commas.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []string:
		return v, nil
	case string:
		return strings.FieldsFunc(v, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }), nil
	}
	return nil, fmt.Errorf("is a %T; it may be text or a list of texts", v)
}
