package ebcli

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What `eb create` sends itself, files in .ebextensions cannot set. The list of options says so, and lint by it.
func TestCreateSendsWhatTheListSays(t *testing.T) {
	a := newAWS(t)
	dir := project(t, map[string]string{"Procfile": "web: bin/application\n"})
	out := a.eb(t, dir, "create", "beanpole-production", "--elb-type", "application", "--nohang", "--region", "eu-central-1")
	q := a.request("CreateEnvironment")
	if q == nil {
		t.Fatalf("no CreateEnvironment: %s", out)
	}
	sent := make(map[string]string)
	for i := 1; ; i++ {
		member := fmt.Sprintf("OptionSettings.member.%d.", i)
		if !q.Has(member + "Namespace") {
			break
		}
		sent[q.Get(member+"Namespace")+"\t"+q.Get(member+"OptionName")] = q.Get(member + "Value")
	}
	for option := range sent {
		if strings.HasPrefix(option, "aws:elb:") {
			delete(sent, option) // of classic load balancers
		}
	}
	list, err := os.ReadFile("../lint/options.tsv")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string) // with what is always sent, or "" when it is what was asked for
	for line := range strings.Lines(string(list)) {
		if column := strings.Split(strings.TrimSpace(line), "\t"); len(column) > 3 && strings.HasPrefix(column[3], "cli") {
			_, listed[column[0]+"\t"+column[1]], _ = strings.Cut(column[3], "cli=")
		}
	}
	for option, value := range sent {
		if want, ok := listed[option]; !ok || want != "" && want != value {
			t.Errorf("%s is sent as %s, and the list does not say so", option, value)
		}
	}
	for option := range listed {
		if _, ok := sent[option]; !ok {
			t.Errorf("%s is not sent, and the list says so", option)
		}
	}
}

// The bundle's saved configuration, in .elasticbeanstalk under its name, is taken without being asked for, and then nothing of
// its own is sent: .ebextensions count.
func TestCreateWithSavedConfigurationSendsNothingItself(t *testing.T) {
	saved, err := os.ReadFile(top + "/deploy/ebcli/default.cfg.yml")
	if err != nil {
		t.Fatal(err)
	}
	a := newAWS(t)
	dir := project(t, map[string]string{"Procfile": "web: bin/application\n", ".elasticbeanstalk/default.cfg.yml": string(saved)})
	out := a.eb(t, dir, "create", "beanpole-production", "--elb-type", "application", "--nohang", "--region", "eu-central-1")
	q := a.request("CreateEnvironment")
	if q == nil {
		t.Fatalf("no CreateEnvironment: %s", out)
	}
	if q.Get("TemplateName") != "default" {
		t.Errorf("TemplateName is %q, want default", q.Get("TemplateName"))
	}
	for i := 1; q.Has(fmt.Sprintf("OptionSettings.member.%d.Namespace", i)); i++ {
		switch name := q.Get(fmt.Sprintf("OptionSettings.member.%d.OptionName", i)); name {
		case "LoadBalancerType": // what was asked for
		default:
			t.Errorf("%s is sent", name)
		}
	}
}
