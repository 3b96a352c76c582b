// Command health asks a URL once, for the health check of a container that has nothing else in it:
//
//	health /livez
//	health http://127.0.0.1:5000/livez
//
// A path alone is asked where the variables of a host have it listen: at PORT, of HOST, over https if BEANPOLE_TLS_CERT is set.
// Where that is https:// on this machine, any certificate will do: it is made out to the name that clients ask for. Its
// exit status is 0 when the answer is 2xx, 1 when it is not or none comes within two seconds, and 64 when
// it is called wrongly. It is a program of its own since a small instance builds it with every deployment.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: health URL | /PATH")
		os.Exit(64) // sysexits.h, EX_USAGE
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	err := ask(ctx, address(os.Args[1], os.Getenv))
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "health:", err)
		os.Exit(1)
	}
}

// address is where to ask: of a path, what the variables of a host say. Source: server/host, Config.
func address(url string, variable func(string) string) string {
	if !strings.HasPrefix(url, "/") {
		return url
	}
	value := func(name, otherwise string) string { return cmp.Or(strings.TrimSpace(variable(name)), otherwise) }
	host, scheme := value("HOST", "127.0.0.1"), "http"
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	if value("BEANPOLE_TLS_CERT", "") != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, value("PORT", "5000")) + url
}

func ask(ctx context.Context, url string) error {
	var client http.Client
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(r.URL.Hostname()); ip != nil && ip.IsLoopback() || r.URL.Hostname() == os.Getenv("HOST") {
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}
