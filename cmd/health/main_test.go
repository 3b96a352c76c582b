package main

import (
	"net/http"
	"net/http/httptest"
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
