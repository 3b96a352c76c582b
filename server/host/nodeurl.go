package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"github.com/beanpole/beanpole/adapter/redis"
)

// place is where other servers reach this one: Config.NodeURL, with the address of the EC2 instance where it has no host,
// since properties of an environment are the same on all instances; without it a guess.
type place struct {
	cfg      *Config
	listener net.Addr
	imds     *imds
}

func newPlace(cfg *Config, listener net.Addr) *place {
	return &place{cfg, listener, newIMDS(os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"))}
}

// url finds it out. An error may pass, unless it is known to stay. Called by one goroutine at a time.
func (p *place) url(ctx context.Context) (string, error) {
	if p.cfg.NodeURL == "" {
		return p.guess(ctx)
	}
	u, err := url.Parse(p.cfg.NodeURL)
	if err != nil || u.Hostname() != "" {
		return p.cfg.NodeURL, err
	}
	own, err := p.imds.get(ctx, "local-ipv4")
	if err == nil && own == "" {
		err = errors.New("instance metadata have no local-ipv4")
	}
	ip, bad := netip.ParseAddr(own)
	if err == nil && bad != nil {
		err = fmt.Errorf("instance metadata local-ipv4: %q is no address", own)
	}
	if err != nil {
		return "", &redis.Unlocated{Err: err, Advice: "BEANPOLE_NODE_URL has no host, for which the metadata of the instance are asked: in a " +
			"container their hop limit has to be 2; or give it a host"}
	}
	p.imds.client.CloseIdleConnections() // it is asked no more
	u.Host = net.JoinHostPort(ip.String(), u.Port())
	return u.String(), nil
}

// guess guesses where other servers reach this one: the address it listens on, or else the one from which it
// reaches Redis, which they reach too. It is an error where that cannot be: an address that many servers have
// would bring them each other's requests.
func (p *place) guess(ctx context.Context) (string, error) {
	name, port, err := net.SplitHostPort(p.listener.String())
	if err != nil {
		return "", err
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return "", err
	}
	if ip.IsUnspecified() || ip.IsLoopback() {
		w, err := wayTo(ctx, p.cfg.RedisURL)
		if err != nil {
			return "", err
		}
		if ip, err = w.announced(ip); err != nil {
			return "", &redis.Unlocated{Err: err, Known: true,
				Advice: "set BEANPOLE_NODE_URL to where the other servers reach this one, or BEANPOLE_NO_FORWARDING where they need not"}
		}
	}
	return p.cfg.scheme() + "://" + net.JoinHostPort(ip.String(), port), nil
}

// way is how this machine reaches Redis.
type way struct {
	own, redis netip.Addr
	network    netip.Prefix // of own; zero if unknown
	contained  bool         // this machine is a container, on a network that may be of its host alone
}

// announced returns the address at which others reach a server that listens on ip, which is loopback or
// unspecified.
func (w way) announced(ip netip.Addr) (netip.Addr, error) {
	switch {
	case ip.IsLoopback() && w.own.IsLoopback():
		return ip, nil // all servers are on one machine, as Redis is
	case ip.IsLoopback():
		return ip, errors.New("it listens on " + ip.String() + ", and Redis is on another machine")
	case w.contained && !w.own.IsLoopback() && !w.network.Contains(w.redis):
		// Docker's bridge has the same addresses on every host. Where Redis is on it, so are the others.
		return ip, errors.New("it is in a container, whose " + w.own.String() + " may mean another one elsewhere")
	default:
		return w.own, nil
	}
}

// wayTo returns how this machine reaches the host of a URL. Nothing is sent there.
func wayTo(ctx context.Context, to string) (w way, err error) {
	u, err := url.Parse(to)
	if err != nil {
		return w, errors.New("REDIS_URL is no URL") // whose text may hold a password
	}
	port := u.Port()
	if port == "" {
		port = strconv.Itoa(6379)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return w, err
	}
	defer func() { _ = conn.Close() }()
	own, other := conn.LocalAddr().(*net.UDPAddr).AddrPort(), conn.RemoteAddr().(*net.UDPAddr).AddrPort()
	w.own, w.redis = own.Addr().Unmap(), other.Addr().Unmap()
	w.contained = contained()
	list, err := net.InterfaceAddrs()
	if err != nil {
		return w, err
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == w.own {
			w.network = p.Masked()
		}
	}
	return w, nil
}

// contained reports whether this is a container of Docker or Podman that is no Kubernetes pod, which has an
// address of its own in the cluster.
func contained() bool {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return false
	}
	for _, name := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(name); err == nil {
			return true
		}
	}
	return false
}
