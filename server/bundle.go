package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/beanpole/beanpole/internal/version"
)

// bundleFile returns the name of the file of the client bundle that path is for, or "".
func bundleFile(path string) string {
	if !strings.HasSuffix(path, ".js") && !strings.HasSuffix(path, ".js.map") {
		return ""
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	if !strings.HasPrefix(name, "socket.io.") {
		return ""
	}
	return name
}

// noBundle answers a request for a file of the client bundle, which Node's server serves and this one does not. Package
// server/host does, and leaves to this one what has another method, or another path that ends so.
func (s *Server) noBundle(w http.ResponseWriter, r *http.Request, name string) {
	cdn := version.OfClient(name)
	if s.bounds.notice.News("bundle", time.Now()) {
		s.cfg.Logger.Warn("a page asks for the client bundle where it is not served: have the page load it from the CDN, import socket.io-client "+
			"from npm, or let package server/host serve it, which does so for GET and HEAD by the one path", "method", r.Method, "path", r.URL.Path, "cdn", cdn)
	}
	http.Error(w, fmt.Sprintf("The client of Socket.IO is not served by this method and path. Load it by\n\n  <script src=%q></script>\n\n"+
		"or install socket.io-client from npm. A program on package server/host serves it, for GET and HEAD, right below the path of Socket.IO.", cdn), http.StatusNotFound)
}
