package contract

import (
	"encoding/json"
	"fmt"
)

// Info is what a document of AsyncAPI says of the application.
type Info struct {
	Title   string `json:"title"`
	Version string `json:"version"`
}

type object map[string]any

// AsyncAPI returns a document of AsyncAPI 3, as JSON, with a channel for each namespace. The payload of a message is the
// list of an event's arguments; a reply is the list of an acknowledgement's values.
func (c *Contract) AsyncAPI(info Info) ([]byte, error) {
	channels, operations := object{}, object{}
	names := c.identifiers()
	for i, n := range c.Namespaces {
		channel := names[i]
		if channel == "" {
			channel = "main"
		}
		messages := object{}
		channels[channel] = object{"address": n.Name, "messages": messages}
		for _, d := range []struct {
			action string // of the server
			events []Event
		}{{"receive", n.ClientToServer}, {"send", n.ServerToClient}} {
			for i, e := range d.events {
				key := fmt.Sprintf("%s%d", d.action, i+1)
				messages[key] = object{"name": e.Name, "title": e.Name, "payload": tuple(e.Args, e.Rest)}
				at := object{"$ref": "#/channels/" + channel}
				op := object{"action": d.action, "title": e.Name, "channel": at,
					"messages": []object{{"$ref": "#/channels/" + channel + "/messages/" + key}}}
				if e.Answer != nil {
					messages[key+"Answer"] = object{"name": e.Name + " (acknowledgement)", "payload": e.Answer.payload()}
					op["reply"] = object{"channel": at,
						"messages": []object{{"$ref": "#/channels/" + channel + "/messages/" + key + "Answer"}}}
				}
				operations[channel+"."+key] = op
			}
		}
	}
	return json.MarshalIndent(object{
		"asyncapi": "3.0.0", "info": info, "defaultContentType": "application/json",
		"channels": channels, "operations": operations, "components": object{"schemas": c.Schemas},
	}, "", "  ")
}

// tuple is the schema of a list.
func tuple(of []*Schema, rest *Schema) object {
	if rest == nil && len(of) == 0 {
		return object{"type": "array", "maxItems": 0}
	}
	list := object{"type": "array", "minItems": len(of)}
	if len(of) > 0 {
		list["items"] = of
		list["additionalItems"] = rest // false and null mean different things
		if rest == nil {
			list["additionalItems"] = false
		}
	} else {
		list["items"] = rest
	}
	return list
}

func (a *Answer) payload() object {
	if a.Open {
		return object{"type": "array"}
	}
	values := tuple(a.Values, nil)
	if !a.Fails {
		return values
	}
	failure := object{"type": "object", "required": []string{"error"},
		"properties": object{"error": object{"type": "string"}, "data": object{}}}
	return object{"anyOf": []object{values, {"type": "array", "items": []object{failure}, "minItems": 1, "maxItems": 1}}}
}
