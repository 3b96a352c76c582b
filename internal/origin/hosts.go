package origin

import (
	"errors"
	"fmt"
	"strings"
)

// Hosts are the names that a server goes by. The empty list is any.
type Hosts []host

type host struct{ name, port string } // the port "" is any

// ParseHosts reads a list of names, each with or without a port. The error names the entry that no browser's Host
// header can match, and why, on one line.
func ParseHosts(list []string) (Hosts, error) {
	hosts := make(Hosts, len(list))
	for i, s := range list {
		at := strings.ToLower(s)
		err := check(at, true)
		switch {
		case strings.Contains(s, "*"):
			err = errors.New(`"*" stands for nothing here: list the names`)
		case strings.Contains(s, "/"), strings.Contains(s, "@"), s == "":
			err = errors.New("a host is name[:port], such as chat.example.com")
		}
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", s, err)
		}
		hosts[i] = hostOf(at)
	}
	return hosts, nil
}

func hostOf(at string) host {
	name, port := splitPort(at)
	return host{strings.TrimSuffix(canonical(name), "."), port}
}

// Has reports whether a request with the Host header is one for this server. Browsers leave the default port out.
func (h Hosts) Has(header string) bool {
	asked := hostOf(strings.ToLower(header))
	for _, is := range h {
		if is.name == asked.name && (is.port == "" || is.port == asked.port ||
			asked.port == "" && (is.port == "80" || is.port == "443")) {
			return true
		}
	}
	return len(h) == 0
}
