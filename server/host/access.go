package host

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/transport"
)

// logRequest writes the access log. Paths are logged without their query, where session ids and tokens
// stand. Health checks are never logged: they come every few seconds for as long as the host lives. A poll
// that waits is logged when it begins to, without its answer's size: see transport.Server.Returns.
func (h *Host) logRequest(c *gin.Context) {
	path := c.Request.URL.Path
	if h.cfg.AccessLog == AccessNone || isHealth(path) {
		c.Next()
		return
	}
	start := time.Now()
	c.Next()

	status := answered(c)
	ofSocketIO := strings.HasPrefix(path, h.cfg.Path) || path+"/" == h.cfg.Path
	var leftOut uint64
	switch {
	case !h.logged(c, status, ofSocketIO):
		return
	case status >= 400 && h.cfg.AccessLog != AccessAll && (ofSocketIO || c.FullPath() == "" && status < 500):
		// Strangers ask for what is not there as often as they like.
		var ok bool
		if leftOut, ok = h.failures.Sample(time.Now()); !ok {
			return
		}
	}
	addr, _ := h.ClientAddr(c.Request)
	line := []slog.Attr{
		slog.String("method", c.Request.Method), slog.String("path", path), slog.Int("status", status),
		slog.Int("bytes", max(0, c.Writer.Size())), slog.Int64("ms", time.Since(start).Milliseconds()),
		slog.String("client", addr),
	}
	if name := transport.Name(c.Query("transport")); ofSocketIO && (name == transport.Polling || name == transport.WebSocket) {
		line = append(line, slog.String("transport", string(name)))
	}
	if leftOut > 0 {
		line = append(line, slog.Uint64("left_out", leftOut))
	}
	h.log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request", line...)
}

// answered returns the status of the answer.
func answered(c *gin.Context) int {
	status := c.Writer.Status()
	if status == http.StatusOK && c.Writer.Size() == 0 && c.GetHeader("Upgrade") != "" {
		return http.StatusSwitchingProtocols // written behind gin's back, on the hijacked connection
	}
	return status
}

// logged reports whether the request is one of those that Config.AccessLog names.
func (h *Host) logged(c *gin.Context, status int, ofSocketIO bool) bool {
	switch h.cfg.AccessLog {
	case AccessErrors:
		return status >= 500
	case AccessApp:
		return !ofSocketIO
	case AccessSessions:
		// A session has one handshake and at most one upgrade, and any number of polls.
		poll := c.Query("sid") != "" && c.GetHeader("Upgrade") == ""
		return !ofSocketIO || !poll || status >= 400
	}
	return true
}
