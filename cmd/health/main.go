// Command health asks a URL once, for the health check of a container that has nothing else in it:
//
//	health http://127.0.0.1:5000/livez
//
// Where that is https:// on this machine, any certificate will do: it is made out to the name that clients ask for. Its
// exit status is 0 when the answer is 2xx, 1 when it is not or none comes within two seconds, and 64 when
// it is called wrongly. It is a program of its own since a small instance builds it with every deployment.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: health URL")
		os.Exit(64) // sysexits.h, EX_USAGE
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	err := ask(ctx, os.Args[1])
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "health:", err)
		os.Exit(1)
	}
}

func ask(ctx context.Context, url string) error {
	var client http.Client
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(r.URL.Hostname()); ip != nil && ip.IsLoopback() {
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
