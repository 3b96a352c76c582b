build: go build -trimpath -o bin/application ./examples/chat
