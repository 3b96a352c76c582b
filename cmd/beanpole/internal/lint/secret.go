package lint

import (
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
)

// secretForm is how a secret looks whatever it is called.
type secretForm struct {
	what string
	hint []string // one of them is in every match: a search for words takes a hundredth of one for expressions
	re   *regexp.Regexp
	any  bool // in whatever file it is: nobody makes one public, or an example of it
}

func (f secretForm) match(text string) bool {
	return slices.ContainsFunc(f.hint, func(h string) bool { return strings.Contains(text, h) }) && f.re.MatchString(text)
}

// secretForms are from the documents of those who issue them.
var secretForms = []secretForm{
	{"an access key of AWS", []string{"AKIA", "ASIA"}, regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`), true},
	{"a private key", []string{"PRIVATE KEY"}, regexp.MustCompile(`-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----`), true},
	{"a password in a URL", []string{"://"}, regexp.MustCompile(`\b[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s$<{]+@`), false},
	{"a token of GitHub", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"}, regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b`), true},
	{"a token of GitLab", []string{"glpat-"}, regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`), true},
	{"a token of Slack", []string{"xox", "hooks.slack.com"}, regexp.MustCompile(`\bxox[abprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T`), true},
	{"a key of Stripe", []string{"k_live_", "k_test_"}, regexp.MustCompile(`\b[sr]k_(live|test)_[A-Za-z0-9]{16,}`), false},
	{"a key of Google", []string{"AIza"}, regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}\b`), false},
	{"a key of SendGrid", []string{"SG."}, regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}`), true},
	{"a token of npm", []string{"npm_"}, regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`), true},
	{"a key of an AI service", []string{"sk-"}, regexp.MustCompile(`\bsk-(ant-|proj-)?[A-Za-z0-9_-]{20,}`), false},
	{"a signed token (JWT)", []string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`), false},
}

// SecretIn says which secret stands in a text that may be anything, or "".
func SecretIn(text string) string {
	for _, form := range secretForms {
		if form.any && form.match(text) {
			return form.what
		}
	}
	return ""
}

// secretName matches names of what nobody else may know.
var secretName = regexp.MustCompile(`(?i)(PASSW(OR)?D|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|AUTH|PRIVATE|SIGNING|ENCRYPTION)[-_]?KEY|OTLP_HEADERS$)`)

// notSecret matches values of such names that are none: switches, names, ARNs, hashes for checking a password, numbers.
var notSecret = regexp.MustCompile(`(?i)^(true|false|on|off|yes|no|none|\d+[smhd]?|arn:.*|\$2[aby]\$.*|\{\{resolve:.*)$`)

// randomValue matches what may be random: long, one word, of letters and digits together.
var randomValue = regexp.MustCompile(`^[A-Za-z0-9+/_=-]{24,}$`)

// secretOf says why a value is a secret, or "".
func secretOf(name, value string) string {
	if value == "" || strings.Contains(value, "`") {
		return ""
	}
	for _, form := range secretForms {
		if form.match(value) {
			return "holds " + form.what
		}
	}
	switch {
	case notSecret.MatchString(value):
		return ""
	case secretName.MatchString(name) && !strings.HasSuffix(strings.ToUpper(name), "_HASH"):
		return "holds a secret"
	case randomValue.MatchString(value) && strings.ContainsAny(value, "0123456789") && entropy(value) > 4:
		return "holds something random, as keys are"
	}
	return ""
}

// entropy is that of the letters of s, in bits for each.
func entropy(s string) (bits float64) {
	count := make(map[rune]float64)
	for _, r := range s {
		count[r]++
	}
	for _, n := range count {
		p := n / float64(len(s))
		bits -= p * math.Log2(p)
	}
	return bits
}

// checkSecrets looks for what everybody can read who can read the bundle, which lies in a bucket, in every version.
func checkSecrets(m *model) {
	const why = "it is in the bundle, in its bucket, and shown in the console"
	settings := m.settings
	if m.platform == Docker || m.bundle.has("Dockerfile") {
		settings = append(settings[:len(settings):len(settings)], m.imageVariables()...)
	}
	for _, s := range settings {
		if s.namespace == nsSecrets || strings.HasPrefix(s.namespace, nsListeners) {
			continue
		}
		if what := secretOf(s.option, s.value); what != "" {
			m.add(Finding{Check: "secret", Severity: Warning, File: s.file, Line: s.line, What: s.option + " " + what,
				Why: why, Fix: "use " + nsSecrets + " with the ARN of the secret, and change it: it has been seen"})
		}
	}
	type at struct {
		file string
		line int
	}
	ofSettings := make(map[at]bool) // which have findings of their own
	for _, s := range m.settings {
		ofSettings[at{s.file, s.line}] = true
	}
	for _, name := range m.bundle.ordered() {
		base := path.Base(name)
		switch {
		case base == ".env" || strings.HasPrefix(base, ".env.") && !strings.HasSuffix(base, "example") && !strings.HasSuffix(base, "sample"),
			base == "id_rsa" || base == "id_ed25519" || base == ".netrc" || base == ".npmrc" || base == ".pgpass" || base == "terraform.tfstate",
			strings.Contains("/"+name, "/.aws/") || strings.Contains("/"+name, "/.ssh/"):
			m.add(Finding{Check: "secret-file", Severity: Warning, File: name, What: "the bundle ships " + base,
				Why: "secrets stand in such files, and the bundle lies in a bucket, in every version", Fix: "name it in .ebignore; give the application its secrets by " + nsSecrets})
			continue
		case strings.HasPrefix(name, ".ebextensions/") || strings.HasPrefix(name, ".platform/") || path.Ext(base) == ".pem" || path.Ext(base) == ".key":
		default:
			continue
		}
		text := string(m.bundle.text(name))
		for _, form := range secretForms {
			if !form.match(text) {
				continue
			}
			for n, line := range strings.Split(text, "\n") {
				if form.match(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") && !ofSettings[at{name, n + 1}] {
					m.add(Finding{Check: "secret-file", Severity: Warning, File: name, Line: n + 1, What: "the file holds " + form.what,
						Why: why, Fix: "read it on the instance from Secrets Manager or Parameter Store, and change it: it has been seen"})
				}
			}
		}
	}
}
