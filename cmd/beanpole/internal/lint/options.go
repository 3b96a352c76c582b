package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rule returns "" for a value that is allowed, or what is.
type rule func(value string) string

func text(string) string { return "" }

func oneOf(values ...string) rule {
	return func(v string) string {
		if slices.Contains(values, v) {
			return ""
		}
		return strings.Join(values, ", ")
	}
}

// boolean is either of two words: Elastic Beanstalk takes them in small letters.
var boolean = oneOf("true", "false")

func number(low, high int) rule {
	return func(v string) string {
		if n, err := strconv.Atoi(v); err == nil && low <= n && n <= high {
			return ""
		}
		return fmt.Sprintf("a number from %d to %d", low, high)
	}
}

func prefixed(prefix string) rule {
	return func(v string) string {
		for part := range strings.SplitSeq(v, ",") {
			if !strings.HasPrefix(strings.TrimSpace(part), prefix) {
				return prefix + "…"
			}
		}
		return ""
	}
}

func jsonText(v string) string {
	if json.Valid([]byte(v)) {
		return ""
	}
	return "a JSON document"
}

// matcher is MatcherHTTPCode: numbers and ranges of them.
func matcher(v string) string {
	for part := range strings.SplitSeq(v, ",") {
		low, high, _ := strings.Cut(part, "-")
		if number(200, 499)(low) != "" || (high != "" && number(200, 499)(high) != "") {
			return "codes from 200 to 499 such as 200 or 200-299"
		}
	}
	return ""
}

// anyOption marks namespaces whose option names are free.
const anyOption = "*"

// options is what may be set: namespace, option, rule. Namespaces that end with ":" are followed by a name.
// Source: command-options-general, command-options-specific of the developer guide.
var options = map[string]map[string]rule{
	"aws:autoscaling:asg": {
		"Availability Zones": oneOf("Any", "Any 1", "Any 2", "Any 3"), "Custom Availability Zones": text,
		"Cooldown": number(0, 10000), "MinSize": number(0, 10000), "MaxSize": number(0, 10000), "EnableCapacityRebalancing": boolean,
	},
	"aws:autoscaling:launchconfiguration": {
		"DisableIMDSv1": boolean, "EC2KeyName": text, "IamInstanceProfile": text, "ImageId": prefixed("ami-"), "InstanceType": text,
		"LaunchTemplateTagPropagationEnabled": boolean, "MonitoringInterval": oneOf("1 minute", "5 minute"), "SecurityGroups": text,
		"DisableDefaultEC2SecurityGroup": boolean, "SSHSourceRestriction": text, "BlockDeviceMappings": text,
		"RootVolumeType": oneOf("standard", "gp2", "gp3", "io1"), "RootVolumeSize": number(8, 16384), "RootVolumeIOPS": number(100, 20000),
		"RootVolumeThroughput": number(125, 1000), "LaunchType": text,
	},
	"aws:autoscaling:scheduledaction": {
		"StartTime": text, "EndTime": text, "MaxSize": number(0, 10000), "MinSize": number(0, 10000), "DesiredCapacity": number(0, 10000),
		"Recurrence": text, "Suspend": boolean,
	},
	"aws:autoscaling:trigger": {
		"BreachDuration": number(1, 600), "LowerBreachScaleIncrement": text, "UpperBreachScaleIncrement": text,
		"LowerThreshold": number(0, 20000000), "UpperThreshold": number(0, 20000000),
		"MeasureName": oneOf("CPUUtilization", "NetworkIn", "NetworkOut", "DiskWriteOps", "DiskReadBytes", "DiskReadOps", "DiskWriteBytes",
			"Latency", "RequestCount", "HealthyHostCount", "UnHealthyHostCount", "TargetResponseTime"),
		"Period": number(1, 600), "EvaluationPeriods": number(1, 600), "Statistic": oneOf("Minimum", "Maximum", "Sum", "Average"),
		"Unit": oneOf("Seconds", "Percent", "Bytes", "Bits", "Count", "Bytes/Second", "Bits/Second", "Count/Second", "None"),
	},
	"aws:autoscaling:updatepolicy:rollingupdate": {
		"MaxBatchSize": number(1, 10000), "MinInstancesInService": number(0, 9999), "RollingUpdateEnabled": boolean,
		"RollingUpdateType": oneOf("Time", "Health", "Immutable"), "Timeout": prefixed("PT"), "PauseTime": prefixed("PT"),
	},
	"aws:ec2:instances": {
		"EnableSpot": boolean, "InstanceTypes": text, "SpotFleetOnDemandBase": text, "SpotFleetOnDemandAboveBasePercentage": number(0, 100),
		"SpotMaxPrice": text, "SpotAllocationStrategy": text,
		"SupportedArchitectures": oneOf("arm64", "x86_64", "arm64,x86_64", "x86_64,arm64"),
	},
	"aws:ec2:vpc": {
		"VPCId": prefixed("vpc-"), "Subnets": prefixed("subnet-"), "ELBSubnets": prefixed("subnet-"), "ELBScheme": oneOf("public", "internal"),
		"DBSubnets": prefixed("subnet-"), "AssociatePublicIpAddress": boolean,
	},
	"aws:elasticbeanstalk:application":     {"Application Healthcheck URL": text},
	nsProperties:                           {anyOption: text},
	nsSecrets:                              {anyOption: prefixed("arn:")},
	"aws:elasticbeanstalk:cloudwatch:logs": {"StreamLogs": boolean, "DeleteOnTerminate": boolean, "RetentionInDays": retention},
	"aws:elasticbeanstalk:cloudwatch:logs:health": {
		"HealthStreamingEnabled": boolean, "DeleteOnTerminate": boolean, "RetentionInDays": retention,
	},
	nsCommand: {
		"DeploymentPolicy": oneOf("AllAtOnce", "Rolling", "RollingWithAdditionalBatch", "Immutable", "TrafficSplitting"),
		"Timeout":          number(1, 3600), "BatchSizeType": oneOf("Percentage", "Fixed"), "BatchSize": number(1, 10000), "IgnoreHealthCheck": boolean,
	},
	"aws:elasticbeanstalk:control": {"DefaultSSHPort": text, "LaunchTimeout": text, "LaunchType": text, "RollbackLaunchOnFailure": boolean},
	nsEnvironment: {
		"EnvironmentType": oneOf("LoadBalanced", "SingleInstance"), "ServiceRole": text,
		"LoadBalancerType": oneOf("classic", "application", "network"), "LoadBalancerIsShared": boolean,
	},
	"aws:elasticbeanstalk:environment:process:": {
		"DeregistrationDelay": number(0, 3600), "HealthCheckInterval": number(5, 300), "HealthCheckPath": prefixed("/"),
		"HealthCheckTimeout": number(1, 60), "HealthyThresholdCount": number(2, 10), "MatcherHTTPCode": matcher, "Port": number(1, 65535),
		"Protocol": oneOf("HTTP", "HTTPS", "TCP"), "StickinessEnabled": boolean, "StickinessLBCookieDuration": number(1, 604800),
		"StickinessType": oneOf("lb_cookie"), "UnhealthyThresholdCount": number(2, 10),
	},
	"aws:elasticbeanstalk:environment:proxy":             {"ProxyServer": oneOf("nginx", "apache", "none")},
	"aws:elasticbeanstalk:environment:proxy:staticfiles": {anyOption: text},
	"aws:elasticbeanstalk:healthreporting:system": {
		"SystemType": oneOf("basic", "enhanced"), "ConfigDocument": jsonText, "EnhancedHealthAuthEnabled": boolean,
		"HealthCheckSuccessThreshold": oneOf("Ok", "Warning", "Degraded", "Severe"),
	},
	"aws:elasticbeanstalk:hostmanager": {"LogPublicationControl": boolean},
	"aws:elasticbeanstalk:managedactions": {
		"ManagedActionsEnabled": boolean, "PreferredStartTime": text, "ServiceRoleForManagedUpdates": text,
	},
	"aws:elasticbeanstalk:managedactions:platformupdate": {"UpdateLevel": oneOf("patch", "minor"), "InstanceRefreshEnabled": boolean},
	"aws:elasticbeanstalk:monitoring":                    {"Automatically Terminate Unhealthy Instances": boolean},
	"aws:elasticbeanstalk:sns:topics": {
		"Notification Endpoint": text, "Notification Protocol": text, "Notification Topic ARN": text, "Notification Topic Name": text,
	},
	"aws:elasticbeanstalk:trafficsplitting": {"NewVersionPercent": number(1, 100), "EvaluationTime": number(3, 600)},
	"aws:elasticbeanstalk:xray":             {"XRayEnabled": boolean},
	"aws:elbv2:listener:": {
		"DefaultProcess": text, "ListenerEnabled": boolean, "Protocol": oneOf("HTTP", "HTTPS", "TCP", "TLS"), "Rules": text,
		"SSLCertificateArns": prefixed("arn:"), "SSLPolicy": prefixed("ELBSecurityPolicy-"),
	},
	"aws:elbv2:listenerrule:": {"PathPatterns": text, "HostHeaders": text, "Priority": number(1, 1000), "Process": text},
	nsBalancer: {
		"AccessLogsS3Bucket": text, "AccessLogsS3Enabled": boolean, "AccessLogsS3Prefix": text, "IdleTimeout": number(1, 3600),
		"IpAddressType": oneOf("ipv4", "dualstack"), "ManagedSecurityGroup": text, "SecurityGroups": text,
		"SharedLoadBalancer": prefixed("arn:"),
	},
	// Not checked further: the databases and workers of an environment, and classic load balancers.
	"aws:rds:dbinstance": {anyOption: text}, "aws:elasticbeanstalk:sqsd": {anyOption: text},
	"aws:elb:loadbalancer": {anyOption: text}, "aws:elb:listener": {anyOption: text}, "aws:elb:listener:": {anyOption: text},
	"aws:elb:policies": {anyOption: text}, "aws:elb:policies:": {anyOption: text},
}

func retention(v string) string {
	return oneOf("1", "3", "5", "7", "14", "30", "60", "90", "120", "150", "180", "365", "400", "545", "731", "1827", "3653")(v)
}

// lookup returns the options of a namespace.
func lookup(namespace string) (map[string]rule, bool) {
	if o, ok := options[namespace]; ok {
		return o, true
	}
	for prefix, o := range options {
		if name, ok := strings.CutPrefix(namespace, prefix); ok && strings.HasSuffix(prefix, ":") && name != "" {
			return o, true
		}
	}
	return nil, false
}

// didYouMean proposes the name that is nearest.
func didYouMean(name string, among []string) string {
	best, least := "", 4+len(name)/5
	for _, other := range among {
		if d := distance(strings.ToLower(name), strings.ToLower(other)); d < least || (d == least && other < best) {
			best, least = other, d
		}
	}
	if best == "" {
		return "see the developer guide of Elastic Beanstalk, configuration options"
	}
	return "did you mean " + best + "?"
}

// distance counts the letters to change, add or leave out.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, row[j]+1, above+1)
		}
	}
	return row[len(b)]
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
