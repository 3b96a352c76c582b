package zishang

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

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
	rule := o.Origin
	if rule == nil {
		rule = "*"
	}
	if rule == "*" {
		// With credentials the library sends both headers, and browsers refuse credentials then.
		c.Origins, c.Credentials = []string{"*"}, false
		return c, nil
	}
	switch _, err := allows(rule, ""); {
	case err != nil:
		return nil, err
	case o.Credentials:
		if err := checkCredentials(rule); err != nil {
			return nil, err
		}
	case rule == true:
		c.Origins = []string{"*"}
		return c, nil
	}
	c.AllowOrigin = func(_ *http.Request, page string) bool {
		return admits(rule, page) && !(o.Credentials && anybodys(rule, page))
	}
	return c, nil
}

// strangers are origins that only a rule which gives anybody's pages credentials allows.
var strangers = []string{"https://nobody.invalid", "http://nobody.invalid", "https://nobody.com", "https://nobody.co.uk",
	"https://nobody.github.io", "https://nobody.vercel.app", origin.Null, origin.File}

// checkCredentials reports what is wrong with a rule for origins whose pages get credentials. What a regular
// expression lets in is not known before it is asked, so pages are held against it one by one too: see anybodys.
func checkCredentials(rule any) error {
	for _, page := range strangers {
		if admits(rule, page) {
			return errors.New("credentials would go to pages of anybody: name the origins")
		}
	}
	switch rule := rule.(type) {
	case *regexp.Regexp:
		if re, err := syntax.Parse(rule.String(), syntax.Perl); err != nil || !anchored(re, true) || !anchored(re, false) {
			return fmt.Errorf("with credentials the regular expression %q must begin with ^ and end with $: pages of anybody "+
				"have origins with anything around it", rule)
		}
	case []any:
		for _, r := range rule {
			if err := checkCredentials(r); err != nil {
				return err
			}
		}
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
		if begin {
			return anchored(re.Sub[0], begin)
		}
		return anchored(re.Sub[len(re.Sub)-1], begin)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !anchored(sub, begin) {
				return false
			}
		}
		return true
	}
	return false
}

// anybodys reports whether the rule would let in pages of anybody as it lets in the page's origin.
func anybodys(rule any, page string) bool {
	return origin.Anybodys(page, func(other string) bool { return admits(rule, other) })
}

// admits is allows for a rule that is one.
func admits(rule any, page string) bool {
	ok, err := allows(rule, page)
	return ok && err == nil
}

// allows reports whether rule, as the library takes it, admits the origin.
func allows(rule any, origin string) (bool, error) {
	switch rule := rule.(type) {
	case string:
		return rule == "*" || rule == origin, nil
	case bool:
		return rule, nil
	case *regexp.Regexp:
		return rule.MatchString(origin), nil
	case []string:
		for _, r := range rule {
			if r == origin {
				return true, nil
			}
		}
		return false, nil
	case []any:
		found := false
		for _, r := range rule {
			ok, err := allows(r, origin)
			if err != nil {
				return false, err
			}
			found = found || ok
		}
		return found, nil
	}
	return false, fmt.Errorf("origin is a %T; it may be text, true or false, a regular expression or a list of them", rule)
}

// list reads a list that may also be written as one text with commas.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []string:
		return v, nil
	case string:
		var out []string
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("is a %T; it may be text or a list of texts", v)
}
