package pack

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"io"
	"path"
	"regexp"
	"slices"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// secretContent are things that nobody else may have, by how they begin or what stands in them, whatever the file is called. All
// of the expressions match.
var secretContent = []struct {
	what string
	hint []string // one of them is in every match: expressions take a hundred times as long to look for
	re   []*regexp.Regexp
}{
	{"has a private key", []string{"PuTTY-User-Key-File-", "AGE-SECRET-KEY-1"}, []*regexp.Regexp{regexp.MustCompile(`^PuTTY-User-Key-File-|AGE-SECRET-KEY-1[A-Z0-9]{50}`)}},
	{"lets into a cluster of Kubernetes", []string{"client-key-data", "client-certificate-data"}, []*regexp.Regexp{regexp.MustCompile(`(?m)^\s*-?\s*(client-key-data|client-certificate-data): *\S`)}},
	{"lets into a cluster of Kubernetes", []string{"users"}, []*regexp.Regexp{regexp.MustCompile(`\bkind["']?\s*:\s*["']?Config\b`), regexp.MustCompile(`\busers["']?\s*:`),
		regexp.MustCompile(`\b(token|client-key-data|client-certificate-data|password)["']?\s*:\s*["']?[^\s"']`)}},
	{"has a password of a registry", []string{"_authToken", "_password"}, []*regexp.Regexp{regexp.MustCompile(`(?m)^//\S+:_(authToken|password)\s*=\s*[^\s$]`)}},
	{"has passwords of registries", []string{`"auths"`}, []*regexp.Regexp{regexp.MustCompile(`"auths"\s*:\s*\{`), regexp.MustCompile(`"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"`)}},
	{"is a dump of a database", []string{"PGDMP", "REDIS0", "database dump", "MySQL dump", "MariaDB dump"}, []*regexp.Regexp{regexp.MustCompile(`^(PGDMP|REDIS0\d{3})|(?m:^-- (PostgreSQL database dump|MySQL dump |MariaDB dump ))`)}},
}

// database is how a file of SQLite begins. Some are data that a program only reads: who names one ships it.
const database = "SQLite format 3\x00"

// data is the identifier with which PKCS#12 says what it has.
const data = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"

// maxKey is the size up to which a file may be a key, in bytes.
const maxKey = 16 << 10

// secretIn says what a file has that is secret, or "". Go source that only speaks of such things is left.
func secretIn(name string, content []byte) string {
	if path.Ext(name) == ".go" {
		return ""
	}
	for range 2 { // a file that is compressed, and what is in it
		for _, s := range secretContent {
			all := slices.ContainsFunc(s.hint, func(h string) bool { return bytes.Contains(content, []byte(h)) })
			for _, re := range s.re {
				all = all && re.Match(content)
			}
			if all {
				return s.what
			}
		}
		if what := lint.SecretIn(string(content)); what != "" {
			return "has " + what
		}
		if isKey(content) {
			return "is a private key"
		}
		if head := content[:min(len(content), 32)]; bytes.HasPrefix(head, []byte{0x30}) && bytes.Contains(head, []byte("\x02\x01\x03\x30")) && bytes.Contains(head, []byte(data)) {
			return "has private keys (PKCS#12)"
		}
		z, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return ""
		}
		content, _ = io.ReadAll(io.LimitReader(z, foreign.MaxText)) // as much of it as there is
	}
	return ""
}

// isKey reports whether a file is a private key without letters around it (DER).
func isKey(content []byte) bool {
	if len(content) > maxKey || len(content) == 0 || content[0] != 0x30 {
		return false
	}
	_, pkcs8 := x509.ParsePKCS8PrivateKey(content)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(content)
	_, ec := x509.ParseECPrivateKey(content)
	return pkcs8 == nil || pkcs1 == nil || ec == nil
}
