package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A path alone is asked where the variables of a host have it listen.
func TestAddress(t *testing.T) {
	for _, c := range []struct {
		ask       string
		variables map[string]string
		want      string
	}{
		{"http://127.0.0.1:5000/livez", map[string]string{"PORT": "1", "BEANPOLE_TLS_CERT": "cert.pem"}, "http://127.0.0.1:5000/livez"},
		{"/livez", nil, "http://127.0.0.1:5000/livez"},
		{"/livez", map[string]string{"PORT": " 8080 ", "HOST": "0.0.0.0"}, "http://127.0.0.1:8080/livez"},
		{"/livez", map[string]string{"HOST": "::", "BEANPOLE_TLS_CERT": "cert.pem"}, "https://[::1]:5000/livez"},
		{"/livez", map[string]string{"HOST": "10.0.0.5", "BEANPOLE_TLS_CERT": " "}, "http://10.0.0.5:5000/livez"},
	} {
		if got := address(c.ask, func(name string) string { return c.variables[name] }); got != c.want {
			t.Errorf("%s with %v is %s, want %s", c.ask, c.variables, got, c.want)
		}
	}
}

func TestHealth(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer http.DefaultClient.CloseIdleConnections()
	if err := ask(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
	status = http.StatusServiceUnavailable
	if ask(t.Context(), s.URL) == nil {
		t.Error("a 503 is healthy")
	}
	s.Close()
	if ask(t.Context(), s.URL) == nil {
		t.Error("nobody there is healthy")
	}
}

// The certificate of a server on this machine is for the name that its clients ask for.
func TestHealthOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer s.Close()
	if err := ask(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
	if err := ask(t.Context(), strings.Replace(s.URL, "127.0.0.1", "localhost", 1)); err == nil {
		t.Error("a certificate of nobody is taken for a name")
	}
}
