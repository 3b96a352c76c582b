package origin

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ErrAnybodys says that an entry is no place to send credentials.
var ErrAnybodys = errors.New(`credentials would go to pages of anybody: list the origins, use "*" in front of a domain ` +
	`of your own, as in https://*.example.com, or set AllowOrigin`)

// Guard returns p as it is for pages that get credentials. It matches no name then below which anybody can register
// one, such as evil.s3.amazonaws.com for *.amazonaws.com. The error is ErrAnybodys for a p that is anybody's as a whole.
func (p Pattern) Guard() (Pattern, error) {
	if p.origin.Scheme == Null || p.origin.Scheme == "file" { // every frame with the attribute sandbox; every file
		return p, ErrAnybodys
	}
	_, after, wild := strings.Cut(p.origin.Host, "*")
	if !wild {
		return p, nil
	}
	_, domain, _ := strings.Cut(after, ".") // what stands behind the "*" in the same label is no domain
	domain = strings.Trim(domain, ".")
	p.suffix = suffix(domain)
	if number := strings.Trim(p.suffix, "0123456789") == ""; number || domain == p.suffix && domain != "localhost" {
		return p, ErrAnybodys // number: of an address, whose last part names nobody's network
	}
	return p, nil
}

// suffix is that of https://publicsuffix.org, such as com, co.uk and github.io: the names right below it are
// anybody's to register.
func suffix(host string) string {
	s, _ := publicsuffix.PublicSuffix(strings.TrimSuffix(host, "."))
	return s
}

// maxName is the length of the longest host name (RFC 1035, section 2.3.4).
const maxName = 255

// Anybodys reports whether a rule that allows the page's origin allows it to anybody: it is the origin of pages that
// have none, or the rule does not mind what the registered name is called. For it allows others then, which differ in
// one letter.
func Anybodys(o string, allows func(origin string) bool) bool {
	host := Parse(o).Host
	if host == "" || len(host) > maxName {
		return true
	}
	if suffix(host) == "localhost" {
		return false
	}
	from, to := 0, len(host) // of an address or a name of one label, all
	if before, ok := strings.CutSuffix(strings.TrimSuffix(host, "."), "."+suffix(host)); ok && !address(host) {
		from, to = strings.LastIndexByte(before, '.')+1, len(before)
	}
	start := strings.Index(o, "://") + len("://")
	for i := start + from; i < min(start+to, len(o)); i++ {
		others := 0
		for _, c := range "ahqx0368" {
			if byte(c) != o[i] && allows(o[:i]+string(c)+o[i+1:]) {
				others++
			}
		}
		if others > 1 { // one may be a name of the same owner: app1 and app2
			return true
		}
	}
	return false
}

func address(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
