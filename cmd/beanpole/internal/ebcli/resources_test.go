package ebcli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// elasticBeanstalks are the resources that an environment has by itself, which .config files name and change.
// Source: customize-containers-format-resources-eb.
const elasticBeanstalks = `
AWSEBSecurityGroup: {Type: "AWS::EC2::SecurityGroup", Properties: {GroupDescription: x}}
AWSEBLoadBalancerSecurityGroup: {Type: "AWS::EC2::SecurityGroup", Properties: {GroupDescription: x}}
AWSEBV2LoadBalancer: {Type: "AWS::ElasticLoadBalancingV2::LoadBalancer", Properties: {Subnets: [subnet-12345678, subnet-87654321]}}
AWSEBV2LoadBalancerTargetGroup: {Type: "AWS::ElasticLoadBalancingV2::TargetGroup", Properties: {Port: 80, Protocol: HTTP, VpcId: vpc-12345678}}
AWSEBAutoScalingGroup:
  Type: AWS::AutoScaling::AutoScalingGroup
  Properties:
    MinSize: "1"
    MaxSize: "4"
    AvailabilityZones: [{"Fn::Select": [0, {"Fn::GetAZs": ""}]}]
    LaunchTemplate: {LaunchTemplateId: {Ref: AWSEBEC2LaunchTemplate}, Version: {"Fn::GetAtt": [AWSEBEC2LaunchTemplate, LatestVersionNumber]}}
AWSEBEnvironmentName: {Type: "AWS::ElasticBeanstalk::Environment", Properties: {ApplicationName: x}}
AWSEBEC2LaunchTemplate: {Type: "AWS::EC2::LaunchTemplate", Properties: {LaunchTemplateData: {InstanceType: t4g.small}}}
`

// template makes a template of a .config file: its resources among those of the environment, and the functions of its
// options as outputs.
func template(t *testing.T, text string) []byte {
	t.Helper()
	var file struct {
		Resources map[string]map[string]any    `yaml:"Resources"`
		Options   map[string]map[string]string `yaml:"option_settings"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	resources := make(map[string]map[string]any)
	if err := yaml.Unmarshal([]byte(elasticBeanstalks), &resources); err != nil {
		t.Fatal(err)
	}
	for name, r := range file.Resources {
		if known, ok := resources[name]; ok { // one that is changed
			mine, _ := r["Properties"].(map[string]any)
			theirs := known["Properties"].(map[string]any)
			for k, v := range mine {
				theirs[k] = v
			}
			continue
		}
		resources[name] = r
	}
	outputs := make(map[string]any)
	for _, options := range file.Options {
		for option, value := range options {
			var function any
			if v := strings.Trim(value, "`"); v != value && json.Unmarshal([]byte(v), &function) == nil {
				outputs[strings.ReplaceAll(option, "_", "")] = map[string]any{"Value": function}
			}
		}
	}
	all := map[string]any{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
	if len(outputs) > 0 {
		all["Outputs"] = outputs
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// CloudFormation's own schemas know every resource of the bundle and its variants, and every attribute that an option asks for.
func TestResourcesAreCloudFormations(t *testing.T) {
	lint := program(t, "cfn-lint")
	dir := t.TempDir()
	of := make(map[string]string) // template: .config
	var args []string
	add := func(name, from string, text string) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, template(t, text), 0o644); err != nil {
			t.Fatal(err)
		}
		of[file], args = from, append(args, file)
	}
	for _, pattern := range []string{".ebextensions/*.config", "deploy/*/.ebextensions/*.config"} {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range files {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains("\n"+string(text), "\nResources:") {
				add(strings.ReplaceAll(strings.TrimPrefix(from, top+"/"), "/", "_")+".json", from, string(text))
			}
		}
	}
	if len(args) == 0 {
		t.Fatal("no .config file has resources")
	}
	// One that is wrong, twice: or silence would say nothing.
	const wrong = "Resources:\n  Redis:\n    Type: AWS::ElastiCache::ReplicationGroup\n    Properties:\n      ReplicationGroupDescription: x\n      NumCacheNodes: 2\n" +
		"option_settings:\n  aws:elasticbeanstalk:application:environment:\n    REDIS_URL: '`{\"Fn::GetAtt\":[\"Redis\",\"PrimaryEndpoint.Address\"]}`'\n"
	add("wrong.json", "wrong", wrong)

	cmd := exec.CommandContext(t.Context(), lint, append([]string{"--regions", "eu-central-1", "--format", "json", "--"}, args...)...)
	out, _ := cmd.Output() // the status says that there are findings
	var findings []struct {
		Filename, Level, Message string
		Rule                     struct{ ID string }
	}
	if err := json.Unmarshal(out, &findings); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := 0
	for _, f := range findings {
		if of[f.Filename] == "wrong" {
			found++
			continue
		}
		t.Errorf("%s: %s %s: %s", of[f.Filename], f.Level, f.Rule.ID, f.Message)
	}
	if found < 2 {
		t.Errorf("of a template with two faults %d are found: %s", found, out)
	}
}
