package host

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// quietGin keeps gin from printing its routes. It knows no other way than this switch for the whole process,
// which hosts that are made at the same time must not turn at the same time.
var quietGin = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// newRouter returns the router with everything but the application's own routes and that of Socket.IO.
func (h *Host) newRouter() *gin.Engine {
	quietGin()
	r := gin.New()
	// gin's own idea of proxies is not used: see Host.ClientAddr.
	r.ForwardedByClientIP = false
	// A redirect would turn a POST without the trailing slash into a GET.
	r.RedirectTrailingSlash = false
	r.Use(h.bound, h.nameInstance, h.noteHealth, h.logRequest, h.recoverPanic, h.refuseHost)
	h.own = len(r.Handlers)

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, "/healthz", h.serveHealth)
		r.Handle(method, "/livez", h.serveLive)
	}
	r.NoRoute(h.serveFile)
	return r
}

// handle adds a route of the application, or says what is wrong with it: gin's own words for it name neither the route
// nor the rule.
func (h *Host) handle(method, path string, handler http.Handler) (err error) {
	route := fmt.Sprintf("route %s %q", method, path)
	bad := func(what string) error { return fmt.Errorf("%s: %s", route, what) }
	switch {
	case missing(handler):
		return bad("no handler")
	case !methodName.MatchString(method):
		return bad("the method must be in capital letters, such as GET")
	case !strings.HasPrefix(path, "/"):
		return bad("the path must begin with /")
	case isHealth(path):
		return bad("it is the health check's own")
	}
	defer func() {
		if p := recover(); p != nil {
			err = bad(fmt.Sprint(p))
		}
	}()
	h.router.Handle(method, path, func(c *gin.Context) {
		for _, p := range c.Params {
			c.Request.SetPathValue(p.Key, p.Value)
		}
		handler.ServeHTTP(c.Writer, c.Request)
	})
	return nil
}

// refuseRoute notes what is wrong with a route, if anything is: Listen and Run return it.
func (h *Host) refuseRoute(err error) {
	if err != nil {
		h.log.Error("route not added", "err", err)
		h.unroutable = errors.Join(h.unroutable, err)
	}
}

// missing reports whether v is nothing: nil, a pointer or a function that is.
func missing(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || (r.Kind() == reflect.Func || r.Kind() == reflect.Pointer) && r.IsNil()
}

// methodName is a method as gin takes it.
var methodName = regexp.MustCompile(`^[A-Z]+$`)

// routeSocketIO adds the route of Socket.IO behind all that the application does with the router: gin's Use is for
// routes that are added later, and a middleware that guards the application has to see these requests too.
func (h *Host) routeSocketIO() {
	h.direct = len(h.router.Handlers) == h.own && h.healthd == nil && (h.cfg.AccessLog == AccessApp || h.cfg.AccessLog == AccessNone)
	h.router.Any(h.cfg.Path+"*file", h.serveSocketIO)
	if bare := strings.TrimSuffix(h.cfg.Path, "/"); h.cfg.NoTrailingSlash && bare != "" {
		h.router.Any(bare, gin.WrapH(h.app))
	}
}

// closeRouter adds the last route. The error says that the application has a route there.
func (h *Host) closeRouter() (err error) {
	if h.unroutable != nil {
		return h.unroutable
	}
	if h.files != nil && !h.indexed && !slices.ContainsFunc(h.router.Routes(), func(r gin.RouteInfo) bool { return r.Path == "/" }) {
		h.life.Warn("the folder of files has no index.html, and nothing else serves /: it is answered 404")
	}
	if h.cfg.SinglePage && !h.static {
		h.life.Warn("BEANPOLE_SINGLE_PAGE has no effect: there are no files, which BEANPOLE_STATIC_DIR or the program's Static names")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a route of the application stands where Socket.IO is served, below %s: %v", h.cfg.Path, p)
		}
	}()
	h.routed()
	return nil
}

// serveDirect serves a request of the protocol past the router, when none of the application's middlewares and no log is
// to see it: what is left of the host's own middlewares is here, and the server refuses hosts and recovers panics itself.
// The router and its middlewares took 12 of the 240 µs of CPU that client and server needed for a handshake.
func (h *Host) serveDirect(w http.ResponseWriter, r *http.Request) {
	h.connections.of(r).waits.Store(true)
	h.sayInstance(w)
	h.app.ServeHTTP(w, r)
}

// serveSocketIO serves the client bundle and leaves everything else below the path to the server, which
// has its own answer for what is no request of the protocol.
func (h *Host) serveSocketIO(c *gin.Context) {
	name := strings.TrimPrefix(c.Param("file"), "/")
	if !h.client.serves(c.Request, name) {
		h.app.ServeHTTP(c.Writer, c.Request)
		return
	}
	defer h.begin(c)()
	h.client.serve(c.Writer, c.Request, name)
}

// refuseHost refuses requests for a host that is not allowed, whatever they ask for: a page of an attacker's name that
// points here may read all that a browser gets. Those who check health know an address alone.
func (h *Host) refuseHost(c *gin.Context) {
	if !isHealth(c.Request.URL.Path) && h.app.Engine().RefuseHost(c.Writer, c.Request) {
		c.Abort()
	}
}

// recoverPanic answers 500 for a handler of the application that panicked, unless it meant to end the
// connection so.
func (h *Host) recoverPanic(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		h.log.Error("handler panicked", "path", c.FullPath(), "panic", p, "stack", string(debug.Stack()))
		if !c.Writer.Written() {
			c.AbortWithStatus(http.StatusInternalServerError)
			return
		}
		c.Abort()
	}()
	c.Next()
}
