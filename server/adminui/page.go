package adminui

import (
	"io/fs"
	"net/http"
)

// Page serves the page from its files, such as those of node_modules/@socket.io/admin-ui/ui/dist. It tells browsers to
// show it in no frame: another page could have the administrator click there without knowing.
func Page(files fs.FS) http.Handler {
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY") // for browsers that are older than the policy
		h.Set("X-Content-Type-Options", "nosniff")
		server.ServeHTTP(w, r)
	})
}
