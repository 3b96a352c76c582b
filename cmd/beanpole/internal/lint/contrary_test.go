package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const (
	scaling  = ".ebextensions/25-scaling.config"
	instance = ".ebextensions/26-instance.config"
)

// otherPath is a rule for Socket.IO's path, and a process of its own.
func otherPath(paths, process string) step {
	return with("aws:elasticbeanstalk:environment:process:chat:", "  HealthCheckPath: /healthz", `  HealthCheckInterval: "10"`, `  UnhealthyThresholdCount: "2"`, `  StickinessEnabled: "true"`, `  DeregistrationDelay: "30"`,
		"aws:elbv2:listener:default:", "  Rules: chat", "aws:elbv2:listenerrule:chat:", "  PathPatterns: "+paths, "  Process: "+process)
}

// contraryBundles say one thing in one place and another in another.
var contraryBundles = []bundleCase{
	{about: "a PORT of the Procfile's", check: "port-mismatch", where: upstream + "|127.0.0.1:5000",
		breaks: write("Procfile", "web: PORT=8080 bin/application\n"), mends: write("Procfile", "web: PORT=5000 bin/application\n")},
	{about: "a PORT of the Procfile's, by env", check: "port-mismatch", where: upstream + "|127.0.0.1:5000",
		breaks: write("Procfile", "web: env A=b PORT=8080 bin/application\n"), mends: write("Procfile", "web: env A=b PORT=$PORT bin/application\n")},
	{about: "a PORT of the Procfile's beside the platform's own nginx files", check: "port-mismatch", where: "(stock)",
		breaks: steps(drop(passFile), write("Procfile", "web: PORT=8080 bin/application\n"))},
	{about: "a property of the Procfile's that stops the start", check: "environment", where: "Procfile:1",
		breaks: write("Procfile", "web: BEANPOLE_PING_INTERVAL=x bin/application\n"), mends: write("Procfile", "web: BEANPOLE_PING_INTERVAL=20s bin/application\n")},
	{about: "two processes of one name", check: "procfile-twice", where: "Procfile:2",
		breaks: write("Procfile", "web: bin/application\nweb: bin/application\n"), mends: write("Procfile", "web: bin/application\nworker: bin/application\n")},
	{about: "thresholds in the wrong order", check: "trigger-order", where: deployment + "|    LowerThreshold",
		breaks: steps(swap(deployment, `LowerThreshold: "0"`, `LowerThreshold: "100"`), swap(deployment, `UpperThreshold: "100"`, `UpperThreshold: "0"`)), mends: steps(swap(deployment, `LowerThreshold: "100"`, `LowerThreshold: "10"`), swap(deployment, `UpperThreshold: "0"`, `UpperThreshold: "90"`))},
	{about: "one application that counts as four that die", check: "upstream-fails", where: upstream + "|127.0.0.2:5000",
		breaks: swap(upstream, "127.0.0.2:5000 max_fails=0", "127.0.0.2:5000"), mends: swap(upstream, "127.0.0.2:5000", "127.0.0.2:5000 max_fails=0")},
	{about: "a name that no variable can have", check: "variable-name", where: more + ":3", breaks: properties("MY-VAR: x"), mends: properties("MY_VAR: x")},
	{about: "a deployment with less time than the drain", check: "command-timeout", where: deployment + "|    Timeout", breaks: swap(deployment, `Timeout: "900"`, `Timeout: "10"`), mends: swap(deployment, `Timeout: "10"`, `Timeout: "60"`)},
	{about: "no preflights", check: "nginx-preflight", where: passFile + ":4",
		breaks: steps(properties("BEANPOLE_ALLOWED_ORIGINS: https://www.example.com"), swap(passFile, "location / {", "location / {\n    if ($request_method !~ ^(GET|HEAD|POST)$) { return 405; }")), mends: swap(passFile, "|POST)", "|POST|OPTIONS)")},
	{about: "a package manager that asks", check: "package-asks", where: ownHook + ":3",
		breaks: hook("#!/bin/bash\nyum install -y git\nyum install htop\n"), mends: hook("#!/bin/bash\n# yum install htop\nsudo dnf -qy install htop\nyum --assumeyes update\nyum list installed\nyes | yum install git\n")},
	{about: "a command that asks", check: "package-asks", where: more + ":3",
		breaks: configFile("container_commands:", "  01_tools:", "    command: yum install htop"), mends: configFile("container_commands:", "  01_tools:", "    command: yum install -y htop")},
	{about: "Apache", check: "no-proxy", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:environment:proxy:", "  ProxyServer: apache"), mends: with("aws:elasticbeanstalk:environment:proxy:", "  ProxyServer: nginx")},
	{about: "a key of an option with a slip of the pen", check: "config-option", where: more + ":3",
		breaks: configFile("option_settings:", "  - namespace: aws:elasticbeanstalk:application:environment", "    option-name: A", `    value: "1"`),
		mends:  configFile("option_settings:", "  - namespace: aws:elasticbeanstalk:application:environment", "    option_name: A", `    value: "1"`)},
	{about: "a .CONFIG", check: "config-suffix", where: ".ebextensions/60.CONFIG", breaks: write(".ebextensions/60.CONFIG", "option_settings: {}\n"), mends: drop(".ebextensions/60.CONFIG")},
	{about: "REDIS_URL with TLS, and ElastiCache without", check: "redis-tls", where: redisFile + "|    REDIS_URL",
		breaks: swap(redisFile, "TransitEncryptionEnabled: true", "TransitEncryptionEnabled: false"), mends: swap(redisFile, `"rediss://"`, `"redis://"`)},
	{about: "REDIS_URL without TLS, and ElastiCache that wants it", check: "redis-tls", where: redisFile + "|    REDIS_URL",
		breaks: swap(redisFile, `"rediss://"`, `"redis://"`), mends: swap(redisFile, "TransitEncryptionEnabled: true", "TransitEncryptionEnabled: true\n      TransitEncryptionMode: preferred")},
	{about: "a security group for another port than Redis'", check: "redis-security-group", where: redisFile + "|BeanpoleRedisSecurityGroup, GroupId",
		breaks: swap(redisFile, "FromPort: 6379\n          ToPort: 6379", "FromPort: 6378\n          ToPort: 6378"), mends: swap(redisFile, "FromPort: 6378\n          ToPort: 6378", "FromPort: 6378\n          ToPort: 6380")},
	{about: "a Redis on another port than its security group's", check: "redis-security-group", where: redisFile + "|BeanpoleRedisSecurityGroup, GroupId",
		breaks: swap(redisFile, "      Engine: valkey", "      Engine: valkey\n      Port: 6400"),
		mends: configFile("Resources:", "  More:", "    Type: AWS::EC2::SecurityGroupIngress", "    Properties:", `      GroupId: { "Fn::GetAtt": [BeanpoleRedisSecurityGroup, GroupId] }`,
			"      IpProtocol: tcp", "      FromPort: 6400", "      ToPort: 6400", `      SourceSecurityGroupId: { "Fn::GetAtt": [AWSEBSecurityGroup, GroupId] }`)},
	{about: "the address of replicas", check: "redis-address", where: redisFile + "|    REDIS_URL",
		breaks: swap(redisFile, "PrimaryEndPoint.Address", "ReaderEndPoint.Address"), mends: swap(redisFile, "ReaderEndPoint.Address", "PrimaryEndPoint.Address")},
	{about: "a Redis of each instance's own", check: "redis-address", where: more + ":3",
		breaks: steps(drop(redisFile), properties("REDIS_URL: redis://localhost:6379", `BEANPOLE_NO_FORWARDING: "true"`)), mends: properties("REDIS_URL: redis://cache.example.com:6379", `BEANPOLE_NO_FORWARDING: "true"`)},
	{about: "a function in its short form that names what there is not", check: "resource-reference", where: redisFile + "|!GetAtt",
		breaks: swap(redisFile, `{ "Fn::GetAtt": [BeanpoleRedisSecurityGroup, GroupId] }`, "!GetAtt Redis.GroupId"), mends: swap(redisFile, "!GetAtt Redis.GroupId", "!GetAtt BeanpoleRedisSecurityGroup.GroupId")},
	{about: "a failover to nobody", check: "resource-property", where: redisFile + "|NumCacheClusters",
		breaks: swap(redisFile, "NumCacheClusters: 2", "NumCacheClusters: 1"), mends: swap(redisFile, "NumCacheClusters: 1", "NumCacheClusters: 3")},
	{about: "one address for all instances", check: "same-on-all", where: more + ":3",
		breaks: properties("BEANPOLE_NODE_URL: http://10.0.0.5:5000"), mends: properties("BEANPOLE_NODE_URL: http://:5000")},
	{about: "an address with a port where nobody listens", check: "port-mismatch", where: more + ":3",
		breaks: properties("BEANPOLE_NODE_URL: http://:6000"), mends: swap(more, "6000", "5000")},
	{about: "one name for all instances", check: "same-on-all", where: more + ":3",
		breaks: properties("BEANPOLE_INSTANCE: one"), mends: steps(properties("BEANPOLE_INSTANCE: one"), swap(deployment, `MinSize: "2"`, `MinSize: "1"`), swap(deployment, `MaxSize: "4"`, `MaxSize: "1"`))},
	{about: "a lifecycle hook of another name", check: "lifecycle-hook", where: instance + "|BEANPOLE_LIFECYCLE_HOOK:",
		breaks: swap(instance, "BEANPOLE_LIFECYCLE_HOOK: beanpole-drain", "BEANPOLE_LIFECYCLE_HOOK: other-drain"), mends: swap(scaling, "LifecycleHookName: beanpole-drain", "LifecycleHookName: other-drain")},
	{about: "a lifecycle hook for instances that come", check: "lifecycle-hook", where: scaling + "|BeanpoleDrainHook",
		breaks: swap(scaling, "EC2_INSTANCE_TERMINATING", "EC2_INSTANCE_LAUNCHING"), mends: swap(scaling, "EC2_INSTANCE_LAUNCHING", "EC2_INSTANCE_TERMINATING")},
	{about: "a lifecycle hook that waits for less than the drain", check: "lifecycle-hook", where: scaling + "|BeanpoleDrainHook",
		breaks: steps(swap(scaling, "HeartbeatTimeout: 60", "HeartbeatTimeout: 30"), properties("BEANPOLE_DRAIN_TIME: 25s", "BEANPOLE_SHUTDOWN_TIMEOUT: 40s")), mends: swap(scaling, "HeartbeatTimeout: 30", "HeartbeatTimeout: 31")},
	{about: "a lifecycle hook that waits for less than it may", check: "lifecycle-hook", where: scaling + "|BeanpoleDrainHook",
		breaks: swap(scaling, "HeartbeatTimeout: 60", "HeartbeatTimeout: 5"), mends: swap(scaling, "      HeartbeatTimeout: 5\n", "")},
	{about: "a metric that nobody writes", check: "metric-unknown", where: scaling + "|MetricName: sessions",
		breaks: swap(scaling, "MetricName: Sessions", "MetricName: sessions"), mends: swap(scaling, "MetricName: sessions\n          Statistic: Average\n          Unit: Count", "MetricName: Handshakes\n          Statistic: Average")},
	{about: "a namespace that nobody writes to", check: "metric-unknown", where: scaling + "|MetricName: Sessions",
		breaks: swap(scaling, "Namespace: Beanpole", "Namespace: beanpole"), mends: swap(scaling, "Namespace: beanpole", "Namespace: Shop")},
	{about: "a unit that nobody writes", check: "metric-unknown", where: scaling + "|MetricName: MemoryPercent",
		breaks: swap(scaling, "Unit: Percent", "Unit: Count"), mends: swap(scaling, "          Statistic: Average\n          Unit: Count\n          Dimensions:\n            - Name: EnvironmentName\n              Value: { Ref: AWSEBEnvironmentName }\n\n  # And", "          Statistic: Average\n          Dimensions:\n            - Name: EnvironmentName\n              Value: { Ref: AWSEBEnvironmentName }\n\n  # And")},
	{about: "a dimension that nobody writes", check: "metric-unknown", where: scaling + "|MetricName: Sessions",
		breaks: swap(scaling, "- Name: EnvironmentName", "- Name: Environment"), mends: swap(scaling, "- Name: Environment\n", "- Name: EnvironmentName\n")},
	{about: "fewer sessions than a policy waits for", check: "max-sessions", where: more + ":3",
		breaks: properties(`BEANPOLE_MAX_SESSIONS: "10000"`), mends: properties(`BEANPOLE_MAX_SESSIONS: "20000"`)},
	{about: "a rule for Socket.IO's path without what follows", check: "rule-path", where: more + "|PathPatterns",
		breaks: otherPath("/socket.io", "chat"), mends: otherPath("/socket.io,/socket.io/*", "chat")},
	{about: "a rule for another path than the server's", check: "rule-path", where: more + "|PathPatterns",
		breaks: steps(swap(application, "    BEANPOLE_RECOVERY", "    BEANPOLE_PATH: /chat/\n    BEANPOLE_RECOVERY"), otherPath("/socket.io/*", "chat")), mends: otherPath("/chat/*", "chat")},
	{about: "a rule that changes nothing", check: "rule-path", where: more + "|PathPatterns",
		breaks: steps(otherPath("/socket.io", "default")), mends: otherPath("/socket.io*", "default")},
}

// What a server writes and what lint believes that it writes are the same.
func TestFiguresAreThoseOfTheServer(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(top, "server", "host", "cloudwatch.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\{"(\w+)", "(Count|Percent|Bytes|Seconds)", `).FindAllStringSubmatch(string(source), -1)
	for _, f := range found {
		if figureUnits[f[1]] != f[2] {
			t.Errorf("the server writes %s in %s, lint has %q", f[1], f[2], figureUnits[f[1]])
		}
	}
	if len(found) != len(figureUnits) {
		t.Errorf("the server writes %d figures, lint knows %d", len(found), len(figureUnits))
	}
}
