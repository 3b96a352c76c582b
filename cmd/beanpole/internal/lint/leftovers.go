package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// leftover is something that only an older Amazon Linux had.
type leftover struct {
	re  *regexp.Regexp
	of  int // version of Amazon Linux
	fix string
}

var leftovers = []leftover{
	{regexp.MustCompile(`#etc#nginx|/tmp/deployment/config`), 1, "delete it: the nginx of Amazon Linux 2 and 2023 passes Upgrade on; own settings go into .platform/nginx"},
	{regexp.MustCompile(`/etc/nginx/(conf\.d/)?[\w.*-]+|/opt/elasticbeanstalk/support/conf|/etc/nginx/sites`), 1, "put the file into .platform/nginx: what is written to /etc/nginx by hand is replaced by the deployment"},
	{regexp.MustCompile(`/opt/elasticbeanstalk/hooks`), 1, "move the script to .platform/hooks/{prebuild,predeploy,postdeploy}"},
	{regexp.MustCompile(`/var/app/ondeck`), 1, "the folder is /var/app/staging now"},
	{regexp.MustCompile(`/opt/elasticbeanstalk/bin/get-config (container|meta)`), 1, "get-config has environment, optionsettings and platformconfig now"},
	{regexp.MustCompile(`\binitctl\b|service nginx (restart|reload)|/etc/init/`), 1, "use systemctl in a hook of .platform/hooks/postdeploy"},
	{regexp.MustCompile(`aws:elasticbeanstalk:container:(nodejs|golang)`), 1, "use aws:elasticbeanstalk:environment:proxy and aws:elasticbeanstalk:environment:proxy:staticfiles"},
	{regexp.MustCompile(`\bamazon-linux-extras\b`), 2, "use yum: Amazon Linux 2023 has the packages under names of their own, such as nginx or postgresql15"},
}

// guarded matches commands that do nothing when their file is not there.
var guarded = regexp.MustCompile(`test\s+-[efd]|\[\[?\s+-[efd]`)

// checkLeftovers finds what tutorials of the days of Amazon Linux 1 leave behind.
func checkLeftovers(m *model) {
	for _, name := range slices.Concat(m.bundle.under(".ebextensions"), m.bundle.under(".platform/hooks"), m.bundle.under(".platform/confighooks")) {
		oldest := 1
		if !strings.HasPrefix(name, ".ebextensions/") {
			oldest = 2 // hooks came with it, and may well speak of /etc/nginx
		}
		if strings.HasPrefix(name, ".ebextensions/nginx/") {
			m.add(Finding{Check: "amazon-linux-1", Severity: Error, File: name, What: "nginx files in .ebextensions/nginx are not read",
				Why: "Amazon Linux 2 and 2023 say `skipping nginx folder under .ebextensions` and go on without", Fix: "move it to .platform/nginx"})
			continue
		}
		text := m.bundle.text(name)
		if !slices.ContainsFunc(leftovers, func(l leftover) bool { return l.re.Match(text) }) {
			continue
		}
		for n, l := range bytes.Split(text, []byte("\n")) {
			if i := bytes.IndexByte(l, '#'); i >= 0 && len(bytes.TrimSpace(l[:i])) == 0 && !bytes.HasPrefix(l[i:], []byte("#etc#")) {
				continue // a comment
			}
			for _, old := range leftovers {
				found := old.re.Find(l)
				if found == nil || old.of < oldest || m.isGuarded(name, n+1) {
					continue
				}
				m.add(Finding{Check: fmt.Sprintf("amazon-linux-%d", old.of), Severity: Error, File: name, Line: n + 1, What: fmt.Sprintf("%s belongs to Amazon Linux %d", found, old.of),
					Why: "the file or command is not there any more: a container_command that fails stops the deployment, and a file that is written has no effect", Fix: old.fix})
				break
			}
		}
	}
}

// isGuarded reports whether the command that line n belongs to has a test for its file.
func (m *model) isGuarded(name string, n int) bool {
	i, ok := slices.BinarySearchFunc(m.configs, name, func(c config, name string) int { return strings.Compare(c.name, name) })
	if !ok {
		return false
	}
	for _, cmd := range m.configs[i].commands {
		if cmd.from <= n && n <= cmd.to {
			return guarded.MatchString(cmd.test) || guarded.MatchString(cmd.command) || strings.Contains(cmd.command, "|| true")
		}
	}
	return false
}
