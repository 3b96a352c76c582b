module github.com/beanpole/beanpole/test/release

go 1.26.8

require github.com/CycloneDX/cyclonedx-go v0.9.3
