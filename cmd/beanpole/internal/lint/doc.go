// Package lint checks an Elastic Beanstalk bundle before it is shipped.
//
//	b, err := lint.OpenDir(".")          // or OpenZip
//	findings := lint.Run(ctx, b, lint.Options{})
//
// # Files
//
//   - bundle.go: Bundle, read from a folder or a zip; ignore.go: what a folder leaves out; commit.go: what Git ships
//   - lint.go: Run, Finding and the model that checks share
//   - layout.go, misplaced.go, procfile.go, module.go, docker.go, hooks.go, leftovers.go: checks of files
//   - scripts.go: what a shell runs, and the ends of lines; commands.go: what instances do before the application is there
//   - scaling.go: how many instances there are, and who decides it; resources.txt: the types of CloudFormation's resources
//   - yaml.go: .ebextensions/*.config; options.tsv, options.go: the list of options; settings.go: their values
//   - environment.go: properties, read by the server's own code; secret.go: what nobody should read in a bundle
//   - process.go, listener.go: the load balancer; architecture.go, instance.go: the instances; redis.go, resources.go
//   - consistency.go, alike.go, figures.go, lifecycle.go: what several settings say together; direct.go: what there has to be in the place of nginx
//   - nginxconf.go: nginx's syntax; overlay.go: the tree that Beanstalk makes of its own and ours; match.go, rewrite.go,
//     request.go: the way of a request through it; vhost.go: the server{} that it gets; effective.go, passing.go, needs.go,
//     health.go: what that means; nginxtest.go: nginx -t
//   - nginx.txt, nginxplace.go: what nginx gets of it; notread.go, reading.go: the bounds of what is read, of one file and of all; effort.go: and of regular expressions
//   - stock/: the platform's own nginx files
//
// # Decisions
//
//   - 2026-11: the list of options is a file of ours, made from the developer guide, as there is no machine-readable one that
//     can be shipped. A test holds every option of the bundle against it.
//   - 2026-11: what an environment needs is told apart from style. A finding names what breaks; there is no
//     finding for what only could be nicer.
//   - 2026-11: nginx's syntax is read by a parser of ours. The one that is well kept, nginxinc/nginx-go-crossplane, is not on the
//     module proxy that we build by; tufanbarisyildirim/gonginx refuses valid files (split_clients) and keeps quotes in
//     words. Regular expressions that look ahead, which Go's do not, are those of dlclark/regexp2.
//   - 2026-11: requests are followed through the configuration instead of looking for directives: one rule, that of nginx, says
//     which location, redirect or header is in force, for clients and for health checks alike.
//   - 2026-11: who wrote a bundle is not known. nginx -t gets what was parsed, written anew by an allow-list, as what is parsed in
//     two ways would hide from one what the other does. Package foreign has the rest of the rule.
//   - 2026-11: a rule is there only where what happens is known, from the developer guide, from cfn-init's source or by trying:
//     a false alarm is worse than a miss. Each was run over the bundle, its variants and public bundles first.
//   - 2026-11: every finding has a broken bundle among the tests, which is also docs/lint.md.
package lint
