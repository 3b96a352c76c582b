package zishang_test

import (
	"strings"
	"testing"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// The tests of this file, of configuration, belong to the table of defects in doc.go.

func TestServeHandlerFailsClosed(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	wrong := newWeb(t, n.io.ServeHandler(nil))
	p := dial(t, wrong)
	p.Send("40")
	p.ExpectClosed()
}

func TestOptionsAreChecked(t *testing.T) {
	adapter := socket.DefaultServerOptions()
	adapter.SetAdapter(&socket.AdapterBuilder{})
	cors := socket.DefaultServerOptions()
	cors.SetCors(&types.Cors{Origin: 7})
	for want, cfg := range map[string]zishang.Config{
		"Config.Adapter":  {Options: adapter},
		"origin is a int": {Options: cors},
		"MaxNamespaces":   {Limits: server.Limits{MaxNamespaces: -1}},
		"Accept":          {Transport: transport.Config{Accept: func(*transport.Session) transport.Receiver { return nil }}},
	} {
		if _, _, err := zishang.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s in it", err, want)
		}
	}
}
