// Package ebcli holds the bundle, and what lint believes of the EB CLI, against the programs themselves: the real
// EB CLI talking to an AWS of a few answers on loopback, and cfn-lint with CloudFormation's schemas.
//
// # Files
//
//   - requirements.txt: the versions of both and of all they need; make venv installs them into build/venv
//   - programs_test.go: where they are; aws_test.go: the AWS that answers
//   - create_test.go: the request of eb create; ship_test.go: what is uploaded; resources_test.go: cfn-lint
//
// # Decisions
//
//   - 2026-11: tests of the everyday suite, as they cost some seconds. Without the programs they are skipped, and fail
//     where CI is set.
package ebcli
