package lint

import (
	"fmt"
	"net/netip"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// inPlace are directives whose words nginx acts upon while it reads a configuration: it gets others of the same form, which
// lead into lint's folder or nowhere. What is neither here nor in nginx.txt it does not get at all.
var inPlace = map[string]func(*writing, []string) ([]string, bool){
	"include":            (*writing).missing,
	"listen":             (*writing).listen,
	"access_log":         (*writing).log,
	"error_log":          (*writing).log,
	"proxy_cache_path":   (*writing).cache,
	"fastcgi_cache_path": (*writing).cache,
	"uwsgi_cache_path":   (*writing).cache,
	"scgi_cache_path":    (*writing).cache,
	"resolver":           (*writing).addresses,
	"set_real_ip_from":   (*writing).addresses,
	"proxy_pass":         (*writing).pass,
	"fastcgi_pass":       (*writing).pass,
	"uwsgi_pass":         (*writing).pass,
	"scgi_pass":          (*writing).pass,
	"grpc_pass":          (*writing).pass,
	"memcached_pass":     (*writing).pass,
	// These would be said twice: lint has its own.
	"pid": left, "user": left, "lock_file": left, "daemon": left, "master_process": left, "load_module": left,
	"client_body_temp_path": left, "proxy_temp_path": left, "fastcgi_temp_path": left, "uwsgi_temp_path": left, "scgi_temp_path": left,
}

// left leaves a directive out.
func left(*writing, []string) ([]string, bool) { return nil, false }

// me returns who this is, as `user` has it.
func me() []string {
	u, err := user.Current()
	if err != nil {
		return []string{"root"}
	}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		return []string{u.Username, g.Name}
	}
	return []string{u.Username}
}

// packaged are files that the package of nginx brings to an instance.
var packaged = []string{"mime.types", "fastcgi_params", "fastcgi.conf", "scgi_params", "uwsgi_params", "koi-utf", "koi-win", "win-utf"}

// missing is an include of a file that the tree does not have. Others stand in its place already.
func (w *writing) missing(args []string) ([]string, bool) {
	if len(args) != 1 {
		return args, false
	}
	name := strings.TrimPrefix(args[0], "/etc/nginx/")
	if !foreign.Inside(name) || slices.Contains(packaged, strings.TrimSuffix(name, ".default")) || strings.ContainsAny(name, "*?[") {
		return nil, false
	}
	return []string{filepath.Join(w.dir, "missing", filepath.FromSlash(path.Clean(name)))}, true
}

// log is a log in lint's folder, with the format and conditions of the other.
func (w *writing) log(args []string) ([]string, bool) {
	if len(args) == 0 || args[0] == "off" {
		return args, true
	}
	return append([]string{filepath.Join(w.dir, "log")}, args[1:]...), true
}

// cache is a folder for answers in lint's.
func (w *writing) cache(args []string) ([]string, bool) {
	if len(args) == 0 {
		return args, true
	}
	rest := slices.DeleteFunc(slices.Clone(args[1:]), func(s string) bool { return !strings.Contains(s, "=") })
	return append([]string{filepath.Join(w.dir, fmt.Sprintf("cache%d", len(w.lines)))}, rest...), true
}

// listen is a socket in lint's folder for each address.
func (w *writing) listen(args []string) ([]string, bool) {
	if len(args) == 0 {
		return args, true
	}
	at := args[0]
	if host, port, err := splitAddress(at); err == nil && !strings.HasPrefix(at, "unix:") {
		if number(host) > 0 && port == "" {
			host, port = "*", host
		}
		if host == "0.0.0.0" {
			host = "*"
		}
		if port == "" {
			port = "80"
		}
		at = host + ":" + port
	}
	if w.sockets[at] == "" {
		w.sockets[at] = "unix:" + filepath.Join(w.dir, fmt.Sprintf("s%d", len(w.sockets)))
	}
	out := []string{w.sockets[at]}
	for _, word := range args[1:] { // others are about what a socket does not have, or about certificates
		if slices.Contains([]string{"default_server", "default", "http2", "proxy_protocol", "reuseport"}, word) {
			out = append(out, word)
		}
	}
	return out, true
}

// splitAddress splits host:port, where either may be missing.
func splitAddress(at string) (host, port string, err error) {
	if strings.HasPrefix(at, "[") {
		end := strings.IndexByte(at, ']')
		if end < 0 {
			return "", "", fmt.Errorf("%q has no ]", at)
		}
		return at[:end+1], strings.TrimPrefix(at[end+1:], ":"), nil
	}
	host, port, _ = strings.Cut(at, ":")
	return host, port, nil
}

// addresses has addresses in the place of names, which nginx would ask for.
func (w *writing) addresses(args []string) ([]string, bool) {
	out := slices.Clone(args)
	for i, word := range out {
		if _, err := netip.ParsePrefix(word); err != nil && !strings.Contains(word, "=") {
			out = address(out, i, nil)
		}
	}
	return out, true
}

// pass is the address that requests are passed to, and what stands around it.
func (w *writing) pass(args []string) ([]string, bool) {
	if len(args) == 0 || strings.Contains(args[0], "$") { // it is asked for when there is a request
		return args, true
	}
	scheme, rest, has := strings.Cut(args[0], "://")
	if !has {
		scheme, rest = "", args[0]
	} else {
		scheme += "://"
	}
	host, uri := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 && !strings.HasPrefix(rest, "unix:") {
		host, uri = rest[:i], rest[i:]
	}
	out := slices.Clone(args)
	out[0] = scheme + address([]string{host}, 0, w.pools)[0] + uri
	return out, true
}

// address returns args with what is no address of numbers in the i-th place, and no name of known, exchanged for one.
func address(args []string, i int, known map[string]bool) []string {
	if i >= len(args) || strings.HasPrefix(args[i], "unix:") {
		return args
	}
	host, port, err := splitAddress(args[i])
	_, no := netip.ParseAddr(strings.Trim(host, "[]"))
	if err == nil && (no == nil || known[host]) {
		return args
	}
	out := slices.Clone(args)
	if out[i] = "127.0.0.1"; port != "" {
		out[i] += ":" + port
	}
	return out
}
