package origin

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Pattern is an entry of a list of origins: an origin, or one with a single "*" for part of its host name or port.
type Pattern struct {
	origin Origin
	suffix string // see Guard
}

// ParsePattern reads an entry. The error says what is wrong with one that no browser's Origin can match.
func ParsePattern(s string) (Pattern, error) {
	s = strings.ToLower(s)
	if s == Null || s == File {
		return Pattern{origin: Parse(s)}, nil
	}
	scheme, at, ok := strings.Cut(s, "://")
	switch {
	case strings.Count(s, "*") > 1:
		return Pattern{}, errors.New(`more than one "*"`)
	case !ok || scheme == "":
		return Pattern{}, errors.New("no scheme, as in https://app.example.com")
	case strings.Contains(scheme, "*"):
		return Pattern{}, errors.New(`"*" in the scheme`)
	case strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "":
		return Pattern{}, fmt.Errorf("no scheme is called %q: entries are separated by commas, without quotes and brackets", scheme)
	case scheme == "file":
		return Pattern{}, errors.New("files have the origin file://, all of them")
	}
	p := Pattern{origin: of(scheme, at)}
	if err := check(at, p.origin.Scheme == "http" || p.origin.Scheme == "https"); err != nil {
		return Pattern{}, err
	}
	return p, nil
}

// Matches reports whether the page's origin is p, or is so with part of a host name or port for the "*" in p.
func (p Pattern) Matches(o Origin) bool {
	return o.Scheme == p.origin.Scheme && matches(p.origin.Host, o.Host) && matches(p.origin.Port, o.Port) &&
		(p.suffix == "" || p.suffix == suffix(o.Host))
}

// matches reports whether s is p, or is so with one or more letters, digits, dots, dashes and underscores for the "*".
func matches(p, s string) bool {
	before, after, wild := strings.Cut(p, "*")
	if !wild {
		return p == s
	}
	return len(s) > len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after) &&
		hostName(s[len(before):len(s)-len(after)])
}

// check reports what is wrong with a host and port, in lower case and perhaps with a "*", that a browser is to send.
// Schemes that are not the web's have hosts of any form.
func check(at string, web bool) error {
	host, port := splitPort(at)
	switch digits := strings.Replace(port, "*", "1", 1); {
	case strings.ContainsAny(at, "/?#@"):
		return errors.New("an origin is scheme://host[:port], nothing after it")
	case host == "":
		return errors.New("no host")
	case port == "" && host != at:
		return errors.New("no port after the colon")
	case port != "" && !portNumber(digits):
		return fmt.Errorf("no port %s", port)
	case web:
		return checkHost(host)
	}
	return nil
}

func portNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

func checkHost(host string) error {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if ip, err := netip.ParseAddr(inner); !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return errors.New("no address, as in [2001:db8::1]")
		}
		return nil
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil && ascii != host {
		return fmt.Errorf("browsers write it %s", ascii)
	}
	name := strings.TrimSuffix(strings.Replace(host, "*", "x", 1), ".")
	if !hostName(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return errors.New("browsers send no such host name; others than ASCII's letters are written xn--…")
	}
	// Browsers take a name whose last label is a number for an address, and write it in full.
	last := name[strings.LastIndexByte(name, '.')+1:]
	hex, ok := strings.CutPrefix(last, "0x")
	if strings.Trim(last, "0123456789") == "" || ok && strings.Trim(hex, "0123456789abcdef") == "" {
		if _, err := netip.ParseAddr(host); err != nil && !strings.Contains(host, "*") {
			return errors.New("no address as browsers write it: four numbers with dots")
		}
	}
	return nil
}

// hostName reports whether s, in lower case, has only what host names in browsers have.
func hostName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}
