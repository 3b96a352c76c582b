package host

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/internal/version"
)

// InstanceHeader is on every answer and says which instance and which version of the application spoke, as
// "instance version beanpole/0.1.0": the version of the application tells its code, and two builds of one code may have
// different versions of this library. nginx replaces Server, so that one cannot carry it.
const InstanceHeader = "X-Beanpole"

// instance returns the name of this instance: Config.Instance, or eight letters that differ between hosts
// and ports and tell nobody the name or address of either.
func (cfg *Config) instance() string {
	if cfg.Instance != "" {
		return cfg.Instance
	}
	name, _ := os.Hostname()
	sum := sha256.Sum256([]byte(name + ":" + strconv.Itoa(int(cfg.Port))))
	return hex.EncodeToString(sum[:4])
}

// version returns the version of the application: Config.Version, or the revision it was built from.
func (cfg *Config) version() string {
	if cfg.Version != "" {
		return cfg.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return cmp.Or(info.Main.Version, "unknown")
}

// spoken returns the value of InstanceHeader.
func (cfg *Config) spoken() string {
	return cfg.instance() + " " + cfg.version() + " beanpole/" + version.Number
}

// nameInstance is a middleware that names the instance.
func (h *Host) nameInstance(c *gin.Context) {
	h.sayInstance(c.Writer)
	c.Next()
}

// sayInstance sets InstanceHeader. The answer to a WebSocket handshake takes it over.
func (h *Host) sayInstance(w http.ResponseWriter) {
	if !h.cfg.NoInstanceHeader {
		w.Header().Set(InstanceHeader, h.spoke)
	}
}
