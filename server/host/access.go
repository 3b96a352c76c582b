package host

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// logRequest writes the access log. Paths are logged without their query, where session ids and tokens
// stand. Health checks are never logged: they come every few seconds for as long as the host lives. A poll
// that waits is logged when it leaves net/http, after half a second and without its answer's size: see
// transport.Server.Returns.
func (h *Host) logRequest(c *gin.Context) {
	path := c.Request.URL.Path
	if h.cfg.AccessLog == AccessNone || path == "/healthz" || path == "/livez" {
		c.Next()
		return
	}
	start := time.Now()
	c.Next()

	status := c.Writer.Status()
	if status == http.StatusOK && c.Writer.Size() == 0 && c.GetHeader("Upgrade") != "" {
		status = http.StatusSwitchingProtocols // written behind gin's back, on the hijacked connection
	}
	switch h.cfg.AccessLog {
	case AccessErrors:
		if status < 500 {
			return
		}
	case AccessApp:
		if strings.HasPrefix(path, h.cfg.Path) || path+"/" == h.cfg.Path {
			return
		}
	}
	addr, _ := h.ClientAddr(c.Request)
	h.log.Info("request", "method", c.Request.Method, "path", path, "status", status,
		"bytes", max(0, c.Writer.Size()), "ms", time.Since(start).Milliseconds(), "client", addr)
}
