// Package beanpole holds the files with which an application goes to AWS Elastic Beanstalk, for the command
// that writes them into projects. Applications import the packages below it, such as server/host, and not
// this one: what is here would only make their programs larger.
package beanpole

import "embed"

// Files are the bundle as it lies in this repository: .ebextensions, .platform, what stands beside them at the
// top, and the variants in deploy. go.mod and go.sum tell which modules all this was tested with.
//
//go:embed all:.ebextensions all:.platform all:deploy Procfile Buildfile Dockerfile .dockerignore .ebignore .gitattributes .gitignore go.mod go.sum
var Files embed.FS
