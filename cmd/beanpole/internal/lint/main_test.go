package lint

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlclark/regexp2/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(clocked{m}) }

// clocked ends the clock of regexp2's timeouts, which goes on for a second, behind the tests.
type clocked struct{ m *testing.M }

func (c clocked) Run() int {
	defer regexp2.StopTimeoutClock()
	return c.m.Run()
}

// top is the top of the repository.
const top = "../../../.."

// good returns the bundle of this repository with a program.
func good(t *testing.T) *Bundle {
	t.Helper()
	b := &Bundle{}
	for _, dir := range []string{".ebextensions", ".platform"} {
		copyTree(t, b, filepath.Join(top), dir)
	}
	b.Add("Procfile", 0o644, []byte("web: bin/application\n"))
	b.Add("bin/application", 0o755, program(0x3e))
	m := &model{bundle: b}
	m.readSettings()
	if a, _ := m.architectures(); a == "arm64" {
		b.Add("bin/application", 0o755, program(0xb7))
	}
	return b
}

// goMod is of a module that is built on Beanpole.
const goMod = "module example.com/chat\n\nrequire " + Module + " v0.1.0\n"

// goodDocker is the same for the Docker platform.
func goodDocker(t *testing.T) *Bundle {
	t.Helper()
	b := good(t)
	for _, name := range []string{"Procfile", "bin/application", ".platform/nginx/conf.d/elasticbeanstalk/00_application.conf"} {
		delete(b.Files, name)
	}
	copyTree(t, b, filepath.Join(top, "deploy", "docker"), ".platform")
	text, err := os.ReadFile(filepath.Join(top, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	b.Add("Dockerfile", 0o644, text)
	b.Add("go.mod", 0o644, []byte(goMod))
	b.Add("go.sum", 0o644, nil)
	return b
}

func copyTree(t *testing.T, b *Bundle, root, dir string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, dir), func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		b.Add(filepath.ToSlash(name), info.Mode(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// program returns the begin of a static ELF program for a machine.
func program(machine uint16) []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(b[16:], 2)
	binary.LittleEndian.PutUint16(b[18:], machine)
	binary.LittleEndian.PutUint32(b[20:], 1)
	binary.LittleEndian.PutUint16(b[52:], 64)
	return b
}

// edit replaces text in a file of b, which must be there.
func edit(t *testing.T, b *Bundle, name, old, new string) {
	t.Helper()
	text := string(b.text(name))
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	b.Add(name, b.Files[name].Mode, []byte(strings.Replace(text, old, new, 1)))
}
