package ebcli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const stack = "64bit Amazon Linux 2023 v4.5.0 running Go 1"

// answers are what the EB CLI has to hear to go on, by action.
var answers = map[string]string{
	"ListAvailableSolutionStacks": `<SolutionStacks><member>` + stack + `</member></SolutionStacks>`,
	"ListRoles": `<IsTruncated>false</IsTruncated><Roles><member><RoleName>aws-elasticbeanstalk-service-role</RoleName><Path>/</Path>` +
		`<RoleId>r</RoleId><Arn>arn:aws:iam::1:role/aws-elasticbeanstalk-service-role</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Roles>`,
	"ListAttachedRolePolicies":    `<IsTruncated>false</IsTruncated><AttachedPolicies/>`,
	"CheckDNSAvailability":        `<Available>true</Available><FullyQualifiedCNAME>x</FullyQualifiedCNAME>`,
	"DescribeApplicationVersions": `<ApplicationVersions/>`,
	"CreateStorageLocation":       `<S3Bucket>bucket</S3Bucket>`,
	"CreateApplicationVersion":    `<ApplicationVersion><ApplicationName>beanpole</ApplicationName><VersionLabel>v</VersionLabel><Status>PROCESSED</Status></ApplicationVersion>`,
	"CreateEnvironment": `<EnvironmentName>beanpole-production</EnvironmentName><EnvironmentId>e-1</EnvironmentId><ApplicationName>beanpole</ApplicationName>` +
		`<SolutionStackName>` + stack + `</SolutionStackName><CNAME>x</CNAME><Status>Launching</Status><DateCreated>2026-01-01T00:00:00Z</DateCreated>` +
		`<DateUpdated>2026-01-01T00:00:00Z</DateUpdated><Tier><Name>WebServer</Name><Type>Standard</Type><Version>1.0</Version></Tier>`,
}

// aws is an account of which only the requests are of interest.
type aws struct {
	url string

	mu     sync.Mutex
	asked  []url.Values // of the query APIs
	upload []byte       // to S3
}

func newAWS(t *testing.T) *aws {
	a := &aws{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	return a
}

// ServeHTTP answers the query APIs and S3.
func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	a.mu.Lock()
	defer a.mu.Unlock()
	query, err := url.ParseQuery(string(body))
	if action := query.Get("Action"); err == nil && action != "" {
		a.asked = append(a.asked, query)
		_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></%[1]sResponse>", action, answers[action])
		return
	}
	switch r.Method {
	case http.MethodPut:
		a.upload = body
		w.Header().Set("ETag", `"x"`)
	case http.MethodGet:
		_, _ = io.WriteString(w, `<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}
}

// request returns the last one of the action, or nil.
func (a *aws) request(action string) (found url.Values) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.asked {
		if q.Get("Action") == action {
			found = q
		}
	}
	return found
}

// eb runs the EB CLI in dir and returns what it says. It knows nothing of this machine's accounts.
func (a *aws) eb(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "eb"), args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + a.url, "NO_PROXY=127.0.0.1", "LANG=C.UTF-8"}
	out, _ := cmd.CombinedOutput() // its end is not ours to judge: it waits for an environment that there is not
	return string(out)
}

// project makes a folder with files, as the EB CLI wants it, in a Git repository with one commit.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, ".elasticbeanstalk/config.yml", "branch-defaults:\n  main:\n    environment: beanpole-production\nglobal:\n  application_name: beanpole\n"+
		"  default_region: eu-central-1\n  default_platform: "+stack+"\n  workspace_type: Application\n  sc: git\n")
	for name, text := range files {
		put(t, dir, name, text)
	}
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "x")
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
