package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/beanpole/beanpole/internal/look"
	"github.com/beanpole/beanpole/server/host"
)

// talker is somebody in the chat.
type talker struct {
	t    *testing.T
	conn io.ReadWriter
}

func enter(t *testing.T, url, name string) *talker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, br, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := &talker{t, conn}
	if br != nil {
		p.conn = struct {
			io.Reader
			io.Writer
		}{io.MultiReader(br, conn), conn}
	}
	p.until("0{")
	p.say(fmt.Sprintf(`40{"name":%q}`, name))
	return p
}

func (p *talker) say(packet string) {
	p.t.Helper()
	if err := wsutil.WriteClientText(p.conn, []byte(packet)); err != nil {
		p.t.Fatal(err)
	}
}

// until reads up to the packet that starts so, and returns it.
func (p *talker) until(start string) string {
	p.t.Helper()
	for {
		b, err := wsutil.ReadServerText(p.conn)
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", start, err)
		}
		if strings.HasPrefix(string(b), start) {
			return string(b)
		}
	}
}

// here waits until those are there, and returns their ids.
func (p *talker) here(names ...string) (ids []string) {
	p.t.Helper()
	for {
		var event []json.RawMessage
		var list []person
		if err := json.Unmarshal([]byte(p.until(`42["people",`)[2:]), &event); err != nil {
			p.t.Fatal(err)
		}
		if err := json.Unmarshal(event[1], &list); err != nil {
			p.t.Fatal(err)
		}
		var got []string
		ids = nil
		for _, one := range list {
			got, ids = append(got, one.Name), append(ids, string(one.ID))
		}
		if slices.Equal(got, names) {
			return ids
		}
	}
}

func TestChatAndItsPage(t *testing.T) {
	cfg := host.Config{NoAdmin: true, Logger: slog.New(slog.DiscardHandler)}
	if err := configure(&cfg); err != nil {
		t.Fatal(err)
	}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	page, err := look.Page(web)
	if err != nil {
		t.Fatal(err)
	}
	h.Static(page)
	web := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})

	ada := enter(t, web.URL, "Ada")
	ada.here("Ada")
	bob := enter(t, web.URL, "Bob")
	bob.here("Ada", "Bob")
	ids := ada.here("Ada", "Bob")
	ada.say(`42["typing"]`)
	bob.until(fmt.Sprintf(`42["typing",{"id":%q,"name":"Ada"}`, ids[0]))
	ada.say(`421["message","hello"]`)
	ada.until(fmt.Sprintf(`431[{"id":%q,"name":"Ada","text":"hello","at":`, ids[0]))
	bob.until(fmt.Sprintf(`42["message",{"id":%q,"name":"Ada","text":"hello","at":`, ids[0]))
	ada.say(`422["message"," "]`)
	ada.until(`432[{"error":"a message has 1 to 500 characters"}]`)
	bob.say("41")
	ada.here("Ada")
	enter(t, web.URL, "").until(`44{"message":"a name has 1 to 24 characters"}`)
	enter(t, web.URL, "\u202e\u200b").until(`44{"message":"a name has 1 to 24 characters"}`)
	for i := range 100 {
		if i%20 == 19 { // another socket is no way round
			ada.say("41")
			ada.say(`40{"name":"Ada"}`)
			ada.until("40{")
		}
		ada.say(`423["message","again"]`)
	}
	ada.until(`433[{"error":"not so fast"}]`)

	for path, want := range map[string]string{"/": "Beanpole", "/look.js": "loadClient", "/zishang.js": "Here now"} {
		res, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if !strings.Contains(string(b), want) {
			t.Errorf("%s: %d bytes without %q", path, len(b), want)
		}
	}
}
