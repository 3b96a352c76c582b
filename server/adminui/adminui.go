package adminui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/internal/origin"
	"github.com/beanpole/beanpole/server"
)

// Defaults of Config.
const (
	DefaultNamespace  = "/admin"
	DefaultSessionTTL = 24 * time.Hour
)

// statsInterval is how often a server tells of itself; the page takes one that is silent for long for dead.
const statsInterval = 2 * time.Second

// fetchTimeout bounds the question for all sockets of the cluster.
const fetchTimeout = 5 * time.Second

// Config configures the Admin UI. Either Username and PasswordHash or NoAuth must be set.
type Config struct {
	// Namespace the page connects to. Empty means DefaultNamespace.
	Namespace string
	// Username and PasswordHash let people in. The hash is bcrypt's, $2a$, $2b$ or $2y$.
	Username, PasswordHash string
	// NoAuth lets everybody in who reaches the server.
	NoAuth bool
	// AllowedOrigins are those of pages that may connect beside the server's own and those that transport.CORS lists or
	// AllowOrigin allows, such as https://admin.socket.io where the server has no list. They are written as in that
	// list, without the single "*": any page could have the administrator's address locked out, or read with NoAuth.
	AllowedOrigins []string
	// SessionTTL is how long the password need not be typed again. Zero means DefaultSessionTTL.
	SessionTTL time.Duration
	// ReadOnly refuses every command.
	ReadOnly bool
	// Development tells the page of every socket, room and event, of all clients. It costs a message to
	// the cluster for each of them: not for production.
	Development bool
	// ServerID names this server. Empty means host name and process id.
	ServerID string
	// Logger receives refused logins and failed commands. Nil means slog.Default().
	Logger *slog.Logger
}

// UI is an attached Admin UI. Close ends it.
type UI struct {
	// Set by Attach, then read only.
	cfg      Config
	io       *server.Server
	admin    *server.Namespace
	key      []byte
	started  time.Time
	hostname string
	log      *slog.Logger
	queue    *queue
	stop     context.CancelFunc
	done     chan struct{}
	logins   *logins
	pages    []origin.Pattern // of AllowedOrigins
	refused  limit.Sampler

	stats   deltas // owned by run
	sockets watched
}

// Attach makes the namespace of the page on io and begins to tell it of the server. The error names the
// field at fault.
func Attach(io *server.Server, cfg Config) (*UI, error) {
	switch {
	case cfg.NoAuth && (cfg.Username != "" || cfg.PasswordHash != ""):
		return nil, errors.New("adminui: NoAuth is set, and so are Username or PasswordHash")
	case !cfg.NoAuth && cfg.Username == "":
		return nil, errors.New("adminui: Username is empty; set NoAuth to let everybody in")
	case cfg.SessionTTL < 0:
		return nil, fmt.Errorf("adminui: SessionTTL is %v; it must not be negative", cfg.SessionTTL)
	}
	if !cfg.NoAuth {
		if _, err := bcrypt.Cost([]byte(cfg.PasswordHash)); err != nil {
			return nil, fmt.Errorf("adminui: PasswordHash is no bcrypt hash: %w", err)
		}
	}
	if cfg.Namespace == "" {
		cfg.Namespace = DefaultNamespace
	}
	if cfg.SessionTTL == 0 {
		cfg.SessionTTL = DefaultSessionTTL
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	u := &UI{cfg: cfg, io: io, started: time.Now(), log: cfg.Logger, queue: newQueue(), done: make(chan struct{}),
		logins: newLogins(cfg.Username, cfg.PasswordHash)}
	for _, o := range cfg.AllowedOrigins {
		p, err := origin.ParsePattern(o)
		if err != nil {
			return nil, fmt.Errorf("adminui: AllowedOrigins: origin %q: %w", o, err)
		}
		u.pages = append(u.pages, p)
	}
	u.hostname, _ = os.Hostname() // "" is a name too
	if u.cfg.ServerID == "" {
		u.cfg.ServerID = fmt.Sprintf("%s#%d", u.hostname, os.Getpid())
	}
	u.key = sessionKey(cfg)
	u.admin = io.Static(cfg.Namespace)
	u.admin.UseAlways(u.authenticate)
	if cfg.Development {
		u.watchNamespaces() // first, so that a page finds itself among the sockets
	}
	u.admin.OnConnection(u.connected)
	if !cfg.ReadOnly {
		u.registerCommands()
	}
	u.stats = u.read()
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	go u.run(ctx)
	return u, nil
}

// Close ends what the UI does, and disconnects the pages of this server. Its namespace stays, and refuses
// everybody. Further calls do nothing.
func (u *UI) Close() {
	u.queue.close()
	_ = u.admin.Local().DisconnectSockets(false) // of this server alone there is nothing that fails
	u.stop()
	<-u.done
}

// Dropped returns how many things could not be told to the page because too much happened at once.
func (u *UI) Dropped() uint64 { return u.queue.droppedCount() }

// run tells the page what there is to tell, until ctx ends.
func (u *UI) run(ctx context.Context) {
	defer close(u.done)
	tick := time.NewTicker(statsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.emitStats()
			u.lookAtSockets()
		case <-u.queue.ready:
			for _, n := range u.queue.take() {
				u.emit(n.event, n.args...)
			}
		}
	}
}

// emit tells all pages of the cluster.
func (u *UI) emit(event string, args ...any) {
	if err := u.admin.Emit(event, args...); err != nil {
		u.log.Debug("admin page not told", "event", event, "err", err)
	}
}

// connected greets a page.
func (u *UI) connected(s *server.Socket) {
	if u.queue.isClosed() || !u.admit(s) {
		s.Disconnect(false)
		return
	}
	_ = s.Emit("config", map[string][]string{"supportedFeatures": u.features()}) // gone is as good, here and below
	_ = s.Emit("server_stats", u.describe(u.read(), nil))
	if u.cfg.Development {
		_ = s.Emit("all_sockets", u.allSockets(s.Context()))
	}
}

// features are the words by which the page knows what it can ask for.
func (u *UI) features() []string {
	var f []string
	if !u.cfg.ReadOnly {
		f = append(f, "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	}
	f = append(f, "AGGREGATED_EVENTS")
	if u.cfg.Development {
		f = append(f, "ALL_EVENTS")
	}
	return f
}

// watched is what is known of the sockets of this server, in development.
type watched struct {
	mu   sync.Mutex
	list map[*server.Socket]*seen // guarded by mu
}
