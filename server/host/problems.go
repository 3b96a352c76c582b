package host

import (
	"errors"
	"slices"

	"github.com/beanpole/beanpole/adapter/redis"
)

// A Problem is what is wrong with a variable of an environment that a host is to be started in.
type Problem struct {
	Variable string
	// Err is why New, or FromEnv, would fail: a *ValueError. It is nil for what a host only warns of.
	Err error
	// Meant is the variable that a name which is no variable's is nearest to, or "".
	Meant string
	// Without is what is missing without which this one does nothing: the name of a variable that is not set, or
	// name=value of one that has another value; or "".
	Without string
}

// Problems returns everything that is wrong with the variables of an environment, for a look at them before anything
// is deployed; nil if a host would start in it and warn of nothing. It holds them to the same rules as FromEnv and New,
// and reads nothing but what it is given. Values that are known on the instance alone need something in their place that
// is allowed. folder reports whether there will be a folder of that name; nil means that there will. Problems may be
// called from any goroutine.
func Problems(variables map[string]string, folder func(name string) bool) (found []Problem) {
	if folder == nil {
		folder = func(string) bool { return true }
	}
	environ := make([]string, 0, len(variables))
	for k, v := range variables {
		environ = append(environ, k+"="+v)
	}
	slices.Sort(environ)
	cfg, bad := readVariables(environ)
	bad = append(bad, cfg.wrong(folder)...)
	bad = append(bad, cfg.checkNew(variables)...)
	for _, err := range bad {
		var value *ValueError
		if errors.As(err, &value) && !slices.ContainsFunc(found, func(p Problem) bool { return p.Variable == value.Variable }) {
			found = append(found, Problem{Variable: value.Variable, Err: err})
		}
	}
	for _, u := range unknownVariables(environ) {
		found = append(found, Problem{Variable: u.name, Meant: u.meant})
	}
	for _, pair := range cfg.idle() {
		found = append(found, Problem{Variable: pair[0], Without: pair[1]})
	}
	return found
}

// checkNew returns the errors of New that check does not find, as far as they lie in the variables.
func (cfg *Config) checkNew(variables map[string]string) (bad []error) {
	if cfg.RedisURL != "" {
		if err := redis.CheckURL(cfg.RedisURL); err != nil {
			bad = append(bad, cfg.badRedisURL(err))
		}
	}
	if cfg.Tracing && cfg.Traces == nil {
		bad = append(bad, checkTraces(func(name string) string { return variables[name] })...)
	}
	return bad
}
