package host

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// isHealth reports whether the path is that of a health check.
func isHealth(path string) bool { return path == "/healthz" || path == "/livez" }

// serveHealth tells load balancers whether to send clients here: 200, or 503 while draining. A cluster
// that is not whole is told but no reason to send nobody, as local delivery goes on. Anybody may ask, so that is all it
// says: how many are here, and what is wrong with what, is for the log and the admin listener (GET /drain).
func (h *Host) serveHealth(c *gin.Context) {
	status, body := http.StatusOK, gin.H{"status": "ok"}
	if h.cluster.health() != nil {
		body["status"] = "degraded"
	}
	if h.draining.Load() {
		status, body["status"] = http.StatusServiceUnavailable, "draining"
		c.Header("Retry-After", "5")
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(status, body)
}

// serveLive tells whether the process answers at all; a restart is the cure when it does not.
func (h *Host) serveLive(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.String(http.StatusOK, "ok\n")
}
