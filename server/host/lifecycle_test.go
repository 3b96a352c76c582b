package host

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// instance is a fake EC2 instance: its metadata, which want tokens, and EC2 Auto Scaling, which wants signatures.
type fakeInstance struct {
	*httptest.Server

	mu sync.Mutex
	// Guarded by mu.
	items   map[string]string
	token   string
	tokens  int
	looks   int      // at what it says
	refuse  []string // answers of Auto Scaling that are errors, in turn
	actions []string
}

func newInstance(t *testing.T) *fakeInstance {
	t.Helper()
	f := &fakeInstance{items: map[string]string{
		"instance-id": "i-0123", "placement/region": "eu-central-1", "services/domain": "amazonaws.com",
		"iam/security-credentials/": "role", "autoscaling/target-lifecycle-state": "InService",
		"iam/security-credentials/role": `{"Code":"Success","AccessKeyId":"AKIA","SecretAccessKey":"secret","Token":"session"}`,
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", f.newToken)
	mux.HandleFunc("GET /latest/meta-data/", f.item)
	mux.HandleFunc("POST /", f.autoScaling)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f.URL)
	t.Setenv("AWS_ENDPOINT_URL_AUTO_SCALING", f.URL)
	return f
}

func (f *fakeInstance) set(item, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items[item] = value
}

func (f *fakeInstance) newToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "21600" {
		http.Error(w, "no lifetime", http.StatusBadRequest)
		return
	}
	f.tokens++
	f.token = fmt.Sprint("token-", f.tokens)
	_, _ = io.WriteString(w, f.token)
}

func (f *fakeInstance) item(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, ok := f.items[strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")]
	f.looks++
	switch {
	case r.Header.Get("X-aws-ec2-metadata-token") != f.token || f.token == "":
		http.Error(w, "", http.StatusUnauthorized)
	case !ok:
		http.NotFound(w, r)
	default:
		_, _ = io.WriteString(w, value)
	}
}

func (f *fakeInstance) autoScaling(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	signed := r.Header.Get("Authorization")
	if !strings.HasPrefix(signed, "AWS4-HMAC-SHA256 Credential=AKIA/") || !strings.Contains(signed, "/eu-central-1/autoscaling/aws4_request") ||
		r.Header.Get("X-Amz-Security-Token") != "session" {
		http.Error(w, signed, http.StatusForbidden)
		return
	}
	if r.FormValue("Action") == "DescribeAutoScalingInstances" {
		_, _ = fmt.Fprintf(w, `<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
 <DescribeAutoScalingInstancesResult><AutoScalingInstances><member><InstanceId>%s</InstanceId>
 <AutoScalingGroupName>group</AutoScalingGroupName></member></AutoScalingInstances></DescribeAutoScalingInstancesResult>
</DescribeAutoScalingInstancesResponse>`, r.FormValue("InstanceIds.member.1"))
		return
	}
	if len(f.refuse) > 0 {
		status, code, _ := strings.Cut(f.refuse[0], " ")
		f.refuse = f.refuse[1:]
		w.WriteHeader(map[string]int{"400": 400, "403": 403}[status])
		_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error></ErrorResponse>", code)
		return
	}
	_ = r.ParseForm()
	f.actions = append(f.actions, r.PostForm.Encode())
}

func (f *fakeInstance) completed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.actions
}

// watching starts a host that looks at the instance often.
func watching(t *testing.T) (h *Host, log fmt.Stringer, stop func()) {
	t.Helper()
	h, buffer := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", LifecycleHook: "beanpole-drain", DrainTime: 10 * time.Millisecond})
	h.lifecycle.every = 5 * time.Millisecond
	done := running(t, h)
	return h, buffer, func() {
		signalSelf(t, syscall.SIGTERM)
		if err := await(t, done); err != nil {
			t.Error(err)
		}
	}
}

const completion = "Action=CompleteLifecycleAction&AutoScalingGroupName=group&InstanceId=i-0123&LifecycleActionResult=CONTINUE" +
	"&LifecycleHookName=beanpole-drain&Version=2011-01-01"

// An instance that its group takes away is drained, and the hook told, as soon as it waits.
func TestScaleInDrainsAndCompletes(t *testing.T) {
	f := newInstance(t)
	f.refuse = []string{"400 ValidationError", "400 ValidationError"} // no action waits yet
	h, log, stop := watching(t)
	session := connect(t, h)
	answer := make(chan string, 1)
	go func() { answer <- get(t, h, session) }()
	if got := status(t, h, "healthz"); got != http.StatusOK {
		t.Errorf("/healthz is %d while in service", got)
	}

	f.set("autoscaling/target-lifecycle-state", "Terminated")
	if got := <-answer; got != "1" {
		t.Errorf("the poll is answered %q, want a CLOSE packet", got)
	}
	if got := status(t, h, "healthz"); got != http.StatusServiceUnavailable {
		t.Errorf("/healthz is %d while leaving", got)
	}
	eventually(t, "that the action is completed", func() bool { return len(f.completed()) > 0 })
	h.resumeIn(time.Nanosecond) // a deployment that was under way
	looks := h.lifecycle.every * 4
	time.Sleep(looks) // nothing must happen
	stop()
	if got := f.completed(); len(got) != 1 || got[0] != completion {
		t.Errorf("completed %q", got)
	}
	if !strings.Contains(log.String(), "target lifecycle state Terminated") || !h.draining.Load() {
		t.Errorf("log: %s", log)
	}
}

// A Spot instance that is wanted back is drained at its notice, and its action completed when its group follows.
func TestSpotInterruptionDrains(t *testing.T) {
	f := newInstance(t)
	h, log, stop := watching(t)
	session := connect(t, h)
	answer := make(chan string, 1)
	go func() { answer <- get(t, h, session) }()
	f.set("spot/instance-action", `{"action":"terminate","time":"2026-11-29T12:00:00Z"}`)
	if got := <-answer; got != "1" {
		t.Errorf("the poll is answered %q, want a CLOSE packet", got)
	}
	eventually(t, "that it is drained", func() bool { return h.Application().Engine().Sessions() == 0 })
	if got := f.completed(); len(got) > 0 {
		t.Errorf("completed %q, and nothing waits", got)
	}
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	eventually(t, "that the action is completed", func() bool { return len(f.completed()) == 1 })
	stop()
	if text := log.String(); !strings.Contains(text, "terminate at 2026-11-29T12:00:00Z") || strings.Count(text, "draining") != 1 {
		t.Errorf("log: %s", text)
	}
}

// What is no notice drains nobody, whatever answers, and the target state counts all the same.
func TestWhatIsNoSpotNotice(t *testing.T) {
	f := newInstance(t)
	h, log := newTestHost(t, Config{LifecycleHook: "x", DrainTime: 10 * time.Millisecond})
	for _, text := range []string{"<html>no</html>", "{{{", "{}", `"terminate"`, strings.Repeat("A", 100_000)} {
		f.set("spot/instance-action", text)
		for range 4 {
			h.lookAtLifecycle(t.Context())
		}
		if h.draining.Load() {
			t.Fatalf("%.20q drains", text)
		}
	}
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	h.lookAtLifecycle(t.Context())
	h.flushLog()
	if !h.draining.Load() || strings.Count(log.String(), "not as it should") != 1 {
		t.Errorf("draining is %v: %s", h.draining.Load(), log)
	}
}

// An instance that is to stay after all takes clients again, and says so; one look is not enough, nor one that has failed.
func TestInstanceThatStaysAfterAll(t *testing.T) {
	f := newInstance(t)
	h, log := newTestHost(t, Config{LifecycleHook: "x", DrainTime: 10 * time.Millisecond})
	look := func(times int) {
		for range times {
			h.lookAtLifecycle(t.Context())
		}
	}
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	look(2)
	if got := len(f.completed()); got != 1 {
		t.Errorf("completed %d times", got)
	}
	f.set("autoscaling/target-lifecycle-state", "InService")
	look(lifecycleDoubt - 1)
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	look(1)
	f.set("autoscaling/target-lifecycle-state", "InService")
	f.set("spot/instance-action", "<html>") // and so nothing is known
	look(9)
	if !h.draining.Load() {
		t.Error("it takes clients too soon")
	}
	delete(f.items, "spot/instance-action")
	look(lifecycleDoubt)
	if h.flushLog(); strings.Count(log.String(), "not as it should") != 1 || strings.Count(log.String(), "answers again") != 1 {
		t.Errorf("what is said of the metadata: %s", log)
	}
	if h.draining.Load() || h.lifecycle.leaving.Load() {
		t.Error("it takes no clients")
	}
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	look(1)
	h.flushLog()
	if got := len(f.completed()); got != 2 || !h.draining.Load() || strings.Count(log.String(), "this instance stays") != 1 {
		t.Errorf("completed %d times: %s", got, log)
	}
}

// Without the permission the hook's timeout has to do, and the log says what is missing, once.
func TestCompletionThatIsNotAllowed(t *testing.T) {
	f := newInstance(t)
	f.refuse = []string{"403 AccessDenied"}
	f.set("autoscaling/target-lifecycle-state", "Terminated")
	h, log, stop := watching(t)
	eventually(t, "that it is drained", func() bool { return status(t, h, "healthz") == http.StatusServiceUnavailable })
	looks := func() int { f.mu.Lock(); defer f.mu.Unlock(); return f.looks }
	eventually(t, "that it is refused", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.refuse) == 0 })
	before := looks()
	eventually(t, "that it goes on looking, and so has said it", func() bool { return looks() > before+2 })
	stop()
	if got := f.completed(); len(got) > 0 {
		t.Errorf("completed %q", got)
	}
	if text := log.String(); strings.Count(text, "autoscaling:CompleteLifecycleAction") != 1 || strings.Contains(text, "secret") {
		t.Errorf("log: %s", text)
	}
}

// A token that the service no longer knows is asked for anew; a service that does not answer is told of once.
func TestInstanceMetadata(t *testing.T) {
	f := newInstance(t)
	m := newIMDS(f.URL)
	for range 2 {
		if got, err := m.get(t.Context(), "instance-id"); got != "i-0123" || err != nil {
			t.Errorf("instance-id is %q, %v", got, err)
		}
		f.mu.Lock()
		f.token = "another"
		f.mu.Unlock()
	}
	if got, err := m.get(t.Context(), "spot/instance-action"); got != "" || err != nil {
		t.Errorf("what is not there is %q, %v", got, err)
	}
	if f.tokens != 3 {
		t.Errorf("%d tokens", f.tokens)
	}

	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
	h, log := newTestHost(t, Config{LifecycleHook: "x"})
	for range 9 {
		h.lookAtLifecycle(t.Context())
	}
	h.flushLog()
	if got := strings.Count(log.String(), "metadata does not answer"); got != 1 || h.draining.Load() {
		t.Errorf("said %d times: %s", got, log)
	}
}
