package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
