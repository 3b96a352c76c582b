package host

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr returns the address of a request's client and whether it came over TLS.
type clientAddr = func(*http.Request) (addr string, secure bool)

// hops is the number of proxies in front that are trusted to append to X-Forwarded-For.
type hops int

// client returns the address of the client and whether it came over TLS. The peer is the first hop, the
// last entry of X-Forwarded-For is what that one saw, and so on to the left, never further than the
// hops there are: what stands left of that the client may have made up. An entry that is no address
// ends the count.
func (h hops) client(r *http.Request) (addr string, secure bool) {
	addr = peer(r)
	if h == 0 {
		return addr, r.TLS != nil
	}
	forwarded := list(r.Header["X-Forwarded-For"])
	for i := range min(int(h), len(forwarded)) {
		ip, ok := address(forwarded[len(forwarded)-1-i])
		if !ok {
			break
		}
		addr = ip
	}
	secure = r.TLS != nil
	if protos := list(r.Header["X-Forwarded-Proto"]); len(protos) > 0 {
		proto := strings.ToLower(protos[max(0, len(protos)-int(h))])
		secure = proto == "https" || proto == "wss" // some proxies (Traefik) say what the client speaks after an upgrade
	}
	return addr, secure
}

// peer returns the address of the connection's other end.
func peer(r *http.Request) string {
	if ip, ok := address(r.RemoteAddr); ok {
		return ip
	}
	return r.RemoteAddr
}

// list splits header values at commas.
func list(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	out := strings.Split(strings.Join(values, ","), ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// address returns the IP address in s, which may have a port or brackets, as some proxies write it.
func address(s string) (string, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return "", false
	}
	return ip.Unmap().WithZone("").String(), true
}
