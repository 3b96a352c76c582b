package host

import (
	"errors"
	"slices"
	"testing"
)

// What New refuses, Problems has named, all of it at once, and without a look at this machine.
func TestProblemsAreThoseOfTheStart(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want []string // variables that stop the start
	}{
		{nil, nil},
		{map[string]string{"REDIS_URL": "rediss://h:6379", "BEANPOLE_RECOVERY": "2m", "BEANPOLE_STATIC_DIR": "public"}, nil},
		{map[string]string{"BEANPOLE_PING_INTERVAL": "25", "BEANPOLE_MAX_PAYLOAD": "1", "PORT": "x"},
			[]string{"BEANPOLE_MAX_PAYLOAD", "BEANPOLE_PING_INTERVAL", "PORT"}},
		{map[string]string{"BEANPOLE_IDLE_TIMEOUT": "60s", "BEANPOLE_PING_INTERVAL": "50s", "BEANPOLE_ADMIN_UI_READ_ONLY": "true",
			"BEANPOLE_ALLOWED_ORIGINS": "example.com"},
			[]string{"BEANPOLE_ADMIN_UI_USERNAME", "BEANPOLE_ALLOWED_ORIGINS", "BEANPOLE_IDLE_TIMEOUT"}},
		{map[string]string{"REDIS_URL": "redis://h:6379?no_such_option=1"}, []string{"REDIS_URL"}},
		{map[string]string{"REDIS_URL": "redis://h:6379", "BEANPOLE_REDIS_MODE": "pubsub", "BEANPOLE_RECOVERY": "1m"}, []string{"BEANPOLE_REDIS_MODE"}},
		{map[string]string{"BEANPOLE_METRICS_ADDR": ":5001"}, []string{"BEANPOLE_METRICS_ADDR"}},
		{map[string]string{"BEANPOLE_STATIC_DIR": "missing"}, []string{"BEANPOLE_STATIC_DIR"}},
		{map[string]string{"BEANPOLE_TRACING": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_HEADERS": "x"},
			[]string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL"}},
		{map[string]string{"BEANPOLE_TRACING": "true", "OTEL_BSP_MAX_QUEUE_SIZE": "-1", "OTEL_BSP_EXPORT_TIMEOUT": "1s"},
			[]string{"OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE"}},
	} {
		var got []string
		for _, p := range Problems(test.env, func(name string) bool { return name != "missing" }) {
			var value *ValueError
			if !errors.As(p.Err, &value) {
				t.Errorf("%v: %s has the error %v, want a *ValueError", test.env, p.Variable, p.Err)
			}
			got = append(got, p.Variable)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("Problems(%v) names %q, want %q", test.env, got, test.want)
		}
	}
}

func TestProblemsKnowNamesThatAreNone(t *testing.T) {
	got := Problems(map[string]string{"BEANPOLE_PING_INTERVALL": "1s", "BEANPOLE_REDIS_PREFIX": "x", "MY_OWN": "y"}, nil)
	want := []Problem{{Variable: "BEANPOLE_PING_INTERVALL", Meant: "BEANPOLE_PING_INTERVAL"}, {Variable: "BEANPOLE_REDIS_PREFIX", Without: "REDIS_URL"}}
	if !slices.Equal(got, want) {
		t.Errorf("Problems = %+v, want %+v", got, want)
	}
}
