// Package contract compiles the TypeScript that a server's contract becomes, with the types of socket.io-client, and holds the
// document of AsyncAPI against what goes over the wire.
package contract

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// Status is an enumeration.
type Status string

// Values are all that a Status can be.
func (Status) Values() []Status { return []Status{"cooking", "done"} }

// Line, Receipt and Article are what the page sends and gets.
type Line struct {
	Item  string            `json:"item"`
	Count int               `json:"count"`
	Photo []byte            `json:"photo"`
	Notes map[string]string `json:"notes"`
}

type Receipt struct {
	Price  float64 `json:"price"`
	Status Status  `json:"status"`
}

type Article struct {
	Title string    `json:"title"`
	At    time.Time `json:"at"`
	Tags  []string  `json:"tags"`
}

// Menu and Path hold themselves, Record has a name that TypeScript has for its own, and Ping nothing.
type (
	Menu   map[string]Menu
	Path   []map[string]Path
	Record struct {
		Menus map[string]Menu `json:"menus"`
		*Place
	}
	Place struct {
		Table int `json:"table"`
	}
	Ping struct{}
)

var (
	news  = server.Declare[Article]("news")
	photo = server.Declare[[]byte]("photo")
	tick  = server.DeclareFunc[func(symbol string, at int64, price float64)]("tick")
	ready = server.DeclareFunc[func() bool]("ready?")
)

func shop(io *server.Server) {
	quiet(io)
	io.On("typing", func() error { return nil })
}

// quiet is a shop in which nobody types.
func quiet(io *server.Server) {
	io.On("order", func(Line) (Receipt, error) { return Receipt{}, nil })
	io.On("sum", func(a, b, c int) int { return a + b + c })
	io.On("total", func(of ...float64) float64 { return 0 })
	io.On("mark", func(label string, at ...int) error { return nil })
	io.On("raw", func(*server.Event) {})
	io.On("later", func(text string, ack server.Ack) {})
	io.On("menu", func(Path) Record { return Record{} })
	io.On("ping", func(p Ping) Ping { return p })
	io.Of("/a-b").On("dash", func(string) {})
	io.Of("/a_b").On("line", func(string) {})
	io.Sends(news, photo, tick, ready)
	io.Of("/admin").On("stop", func(when string) {})
}

// compile compiles the page against the contract of a server.
func compile(t *testing.T, setup func(io *server.Server)) (complaints string) {
	t.Helper()
	io := servertest.Server(t, server.Config{})
	setup(io)
	dir := t.TempDir()
	modules, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	copyTo(t, "page.ts", filepath.Join(dir, "page.ts"))
	if err := os.WriteFile(filepath.Join(dir, "events.ts"), io.Contract().TypeScript(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(modules, ".bin", "tsc"), "--strict", "--noEmit", "--skipLibCheck",
		"--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "page.ts")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return err.Error() + "\n" + string(out)
}

// install makes node_modules what package-lock.json says, unless it is that already.
func install(t *testing.T) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	done, err := os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	lock, lockErr := os.Stat("package-lock.json")
	if lockErr != nil {
		t.Fatal(lockErr)
	}
	if err == nil && !done.ModTime().Before(lock.ModTime()) {
		return
	}
	if out, err := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

func TestPageCompilesAgainstTheContract(t *testing.T) {
	install(t)
	if got := compile(t, shop); got != "" {
		t.Error(got)
	}
}

// What docs/contract.md shows of both is theirs.
func TestDocumentShowsWhatIsThere(t *testing.T) {
	doc, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("page.ts")
	if err != nil {
		t.Fatal(err)
	}
	io := servertest.Server(t, server.Config{})
	shop(io)
	all := string(page) + string(io.Contract().TypeScript())
	blocks := regexp.MustCompile("(?ms)^```ts\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) == 0 {
		t.Error("it shows none")
	}
	for _, b := range blocks {
		if !strings.Contains(all, b[1]) {
			t.Errorf("nobody has\n%s", b[1])
		}
	}
}

// A handler that has changed breaks the page where it does not fit any more, and the contract names it.
func TestChangedHandlerBreaksThePage(t *testing.T) {
	install(t)
	for name, c := range map[string]struct {
		change     func(io *server.Server)
		page, says string
	}{
		"argument": {func(io *server.Server) {
			io.On("sum", func(a, b, c string) int { return 0 }) // the first handler of an event says what it takes
			shop(io)
		}, "page.ts(", `/: "sum" from clients, argument 1 is integer and not string`},
		"gone": {quiet, `"typing"`, `/: "typing" from clients has no handler any more`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := compile(t, c.change); !strings.Contains(got, c.page) {
				t.Errorf("the compiler says %q", got)
			}
			old, now := servertest.Server(t, server.Config{}), servertest.Server(t, server.Config{})
			shop(old)
			c.change(now)
			if got := strings.Join(now.Contract().Breaks(old.Contract()), "\n"); !strings.Contains(got, c.says) {
				t.Errorf("the contract says %q", got)
			}
		})
	}
}
