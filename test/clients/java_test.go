package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const mavenCentral = "https://repo1.maven.org/maven2/"

// startJava runs programs/java with a version of the client and of the Engine.IO client below it. What both
// need else is the same.
func startJava(client, engine string) func(*testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		need(t, "javac") // java compiles the program as it starts, which a JRE alone does not
		list, err := os.ReadFile("programs/java/jars.txt")
		if err != nil {
			t.Fatal(err)
		}
		var jars []string
		for line := range strings.Lines(string(list)) {
			sum, name, found := strings.Cut(strings.TrimSpace(line), " ")
			of := strings.HasPrefix(name, "io/socket/") // of one of the two versions
			if !found || sum == "#" || of && !strings.HasSuffix(name, "/socket.io-client-"+client+".jar") &&
				!strings.HasSuffix(name, "/engine.io-client-"+engine+".jar") {
				continue
			}
			jars = append(jars, download(t, mavenCentral+name, sum))
		}
		// The compiler that optimises would cost more than it gives to a program of a few seconds.
		return exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-Dfile.encoding=UTF-8",
			"-cp", strings.Join(jars, string(filepath.ListSeparator)), "programs/java/Cells.java")
	}
}

// download returns the path of the file at address, which it fetches once, and whose SHA-256 it holds it to.
func download(t *testing.T, address, sum string) string {
	t.Helper()
	dir, err := cache("downloads")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, path.Base(address))
	if have, err := os.ReadFile(file); err == nil && digest(have) == sum {
		return file
	}
	body, err := get(t, address)
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(body); got != sum {
		t.Fatalf("%s has the SHA-256 %s, want %s", address, got, sum)
	}
	// Under another name until it is complete: two tests may want the same file.
	part, err := os.CreateTemp(dir, "part-*")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(part, bytes.NewReader(body))
	if err = firstError(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// get returns the body of a GET.
func get(t *testing.T, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, answer.Status)
	}
	return io.ReadAll(answer.Body)
}
