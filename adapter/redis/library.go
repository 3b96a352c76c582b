package redis

import (
	"context"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// LogLibrary sends what go-redis has to say to log, at level Debug. Without it go-redis prints a line on
// the standard error for each connection it fails to make, many a second while Redis is down, though the
// Cluster logs that state once. The setting is go-redis's own and for the whole process, so it is made
// here and not by New: call it once, in main.
func LogLibrary(log *slog.Logger) { redis.SetLogger(libraryLog{log}) }

type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	if !l.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	// The format is what is constant; addresses and errors are the rest.
	l.log.DebugContext(ctx, "go-redis", "message", strings.TrimSpace(format), "values", v)
}
