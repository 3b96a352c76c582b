// Package account has the script that tries Beanpole in an account of AWS, and tests of it that need none: they run it
// against programs in fake, which keep a small account in a folder.
//
// # Files
//
//   - nightly.sh: the script; docs/nightly.md has what it does, needs and costs
//   - fake/aws, fake/beanpole: what the dry run calls in the place of both
package account
