import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Manager;
import io.socket.client.Socket;
import java.io.File;
import java.net.CookieManager;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import okhttp3.JavaNetCookieJar;
import okhttp3.OkHttpClient;
import org.json.JSONArray;
import org.json.JSONObject;

/** What the Java client can do, cell by cell. It compiles against version 1 and version 2 alike. */
public class Cells {
    static final long LIMIT = 15; // seconds, the longest any one wait may take
    static final String DIRECT = System.getenv("DIRECT");
    static final String RELAY = System.getenv("RELAY");
    static final String BALANCER = System.getenv("BALANCER");

    final String transport;
    final String tag = UUID.randomUUID().toString();
    final List<Socket> opened = new ArrayList<>();

    Cells(String transport) {
        this.transport = transport;
    }

    interface Cell {
        void run(Cells c) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        boolean v1 = version("socket.io-client").startsWith("1.");
        List<Thread> threads = new ArrayList<>();
        for (String transport : new String[] {"polling", "websocket", "upgrade"}) {
            Thread thread = new Thread(() -> {
                cell(transport, "connect", Cells::connect);
                cell(transport, "auth", v1 ? Cells::authByQuery : Cells::auth);
                cell(transport, "ack", Cells::ack);
                cell(transport, "answer", Cells::answer);
                cell(transport, "binary", Cells::binary);
                cell(transport, "namespaces", Cells::namespaces);
                cell(transport, "reconnect", Cells::reconnect);
                report(transport, "recovery", "n.a.", "the client knows no recovery");
                cell(transport, "sticky", Cells::sticky);
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.exit(0); // OkHttp's threads would linger
    }

    // The cells.

    void connect() throws Exception {
        Socket socket = socket(DIRECT, new IO.Options());
        BlockingQueue<Object[]> welcome = listen(socket, "welcome");
        socket.connect();
        JSONObject hello = (JSONObject) next(welcome, "welcome")[0];
        // Version 1 shows the id with its namespace in front in all but "/".
        equal(socket.id(), hello.getString("id"));
        settled(socket);
    }

    void auth() throws Exception {
        Socket wrong = socket(DIRECT + "/private", auth("wrong"));
        BlockingQueue<Object[]> refusal = listen(wrong, Socket.EVENT_CONNECT_ERROR);
        wrong.connect();
        JSONObject refused = (JSONObject) next(refusal, "connect_error")[0];
        equal("E401", refused.getJSONObject("data").getString("code"));
        Socket socket = socket(DIRECT + "/private", auth("secret"));
        BlockingQueue<Object[]> welcome = listen(socket, "welcome");
        socket.connect();
        equal("/private", ((JSONObject) next(welcome, "welcome")[0]).getString("nsp"));
    }

    // Version 1 has no such option, and this file compiles against both.
    static IO.Options auth(String token) throws Exception {
        IO.Options options = new IO.Options();
        options.getClass().getField("auth").set(options, Collections.singletonMap("token", token));
        return options;
    }

    // Version 1 takes a refusal with data for a broken packet and tells nobody: words it understands.
    void authByQuery() throws Exception {
        Socket wrong = socket(DIRECT + "/private?token=expired", new IO.Options());
        BlockingQueue<Object[]> refusal = listen(wrong, "error");
        wrong.connect();
        equal("token expired", next(refusal, "error")[0]);
        Socket socket = socket(DIRECT + "/private?token=secret", new IO.Options());
        BlockingQueue<Object[]> welcome = listen(socket, "welcome");
        socket.connect();
        equal("/private", ((JSONObject) next(welcome, "welcome")[0]).getString("nsp"));
    }

    void ack() throws Exception {
        Socket socket = connected(DIRECT, new IO.Options());
        equal(1, ask(socket, "echo", 1)[0]);
        settled(socket);
        JSONArray list = new JSONArray(Arrays.asList(1, "é🎉", true));
        JSONObject back = (JSONObject) ask(socket, "echo", new JSONObject().put("a", list))[0];
        equal(list.toString(), back.getJSONArray("a").toString());
    }

    void answer() throws Exception {
        Socket socket = connected(DIRECT, new IO.Options());
        socket.on("answer-me", args -> ((Ack) args[1]).call("got " + args[0]));
        equal("got one", ask(socket, "question", "one")[0]);
        settled(socket);
        equal("got two", ask(socket, "question", "two")[0]);
    }

    void binary() throws Exception {
        byte[] bytes = new byte[256];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        Socket socket = connected(DIRECT, new IO.Options());
        BlockingQueue<Object[]> echo = listen(socket, "echo");
        socket.emit("echo", new JSONObject().put("bytes", bytes), "é");
        Object[] back = next(echo, "echo");
        equal(true, Arrays.equals(bytes, (byte[]) ((JSONObject) back[0]).get("bytes")));
        equal("é", back[1]);
        settled(socket);
        equal(true, Arrays.equals(bytes, (byte[]) ask(socket, "echo", (Object) bytes)[0]));
    }

    void namespaces() throws Exception {
        Socket socket = connected(DIRECT, new IO.Options());
        Socket admin = socket.io().socket("/admin");
        BlockingQueue<Object[]> welcome = listen(admin, "welcome");
        admin.connect();
        equal("/admin", ((JSONObject) next(welcome, "welcome")[0]).getString("nsp"));
        equal(1, ask(socket, "echo", 1)[0]);
        equal(2, ask(admin, "echo", 2)[0]);
        admin.disconnect();
        equal("still", ask(socket, "echo", "still")[0]);
    }

    void reconnect() throws Exception {
        Socket socket = socket(RELAY, tagged(new IO.Options()));
        comesBack(socket, RELAY);
    }

    void sticky() throws Exception {
        comesBack(socket(BALANCER, tagged(transport.equals("websocket") ? websocketOnly() : cookieJar())), BALANCER);
    }

    // comesBack connects, cuts the connection, and waits for the client to be back by itself.
    void comesBack(Socket socket, String network) throws Exception {
        BlockingQueue<Object[]> welcome = listen(socket, "welcome");
        socket.connect();
        String before = ((JSONObject) next(welcome, "welcome")[0]).getString("id");
        settled(socket);
        HttpURLConnection cut = (HttpURLConnection) new URL(network + "/cut?tag=" + tag).openConnection();
        equal(204, cut.getResponseCode());
        String after = ((JSONObject) next(welcome, "second welcome")[0]).getString("id");
        equal(false, before.equals(after));
        settled(socket);
        equal("back", ask(socket, "echo", "back")[0]);
    }

    // The settings of docs/clients.md.

    static IO.Options cookieJar() {
        OkHttpClient http = new OkHttpClient.Builder()
                .cookieJar(new JavaNetCookieJar(new CookieManager())) // okhttp-urlconnection
                .build();
        IO.Options options = new IO.Options();
        options.callFactory = http;
        options.webSocketFactory = http;
        return options;
    }

    static IO.Options websocketOnly() {
        IO.Options options = new IO.Options();
        options.transports = new String[] {"websocket"};
        return options;
    }

    // What the cells share.

    // socket makes one of its own connection over the cell's transport, not yet connected.
    Socket socket(String url, IO.Options options) throws Exception {
        options.forceNew = true;
        options.reconnectionDelay = 20;
        options.reconnectionDelayMax = 100;
        options.transports = transport.equals("upgrade")
                ? new String[] {"polling", "websocket"} : new String[] {transport};
        Socket socket = IO.socket(URI.create(url), options);
        opened.add(socket);
        return socket;
    }

    IO.Options tagged(IO.Options options) {
        options.query = "tag=" + tag;
        return options;
    }

    Socket connected(String url, IO.Options options) throws Exception {
        Socket socket = socket(url, options);
        BlockingQueue<Object[]> welcome = listen(socket, "welcome");
        socket.connect();
        next(welcome, "welcome");
        return socket;
    }

    // settled waits until the server too has the transport that the cell is about.
    void settled(Socket socket) throws Exception {
        String want = transport.equals("polling") ? "polling" : "websocket";
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT);
        while (!ask(socket, "transport")[0].equals(want)) {
            if (System.nanoTime() > end) {
                throw new Exception("the transport is not " + want);
            }
        }
    }

    static BlockingQueue<Object[]> listen(Socket socket, String event) {
        BlockingQueue<Object[]> queue = new LinkedBlockingQueue<>();
        socket.on(event, queue::add);
        return queue;
    }

    static Object[] next(BlockingQueue<Object[]> queue, String what) throws Exception {
        Object[] args = queue.poll(LIMIT, TimeUnit.SECONDS);
        if (args == null) {
            throw new Exception("no \"" + what + "\" within " + LIMIT + " s");
        }
        return args;
    }

    static Object[] ask(Socket socket, String event, Object... args) throws Exception {
        BlockingQueue<Object[]> queue = new LinkedBlockingQueue<>();
        socket.emit(event, args, queue::add);
        return next(queue, "acknowledgement of " + event);
    }

    static void equal(Object want, Object got) throws Exception {
        if (!want.equals(got)) {
            throw new Exception("got " + got + ", want " + want);
        }
    }

    static void cell(String transport, String capability, Cell cell) {
        Cells c = new Cells(transport);
        try {
            cell.run(c);
            report(transport, capability, "ok", "");
        } catch (Throwable e) {
            report(transport, capability, "failed", e.toString());
        }
        for (Socket socket : c.opened) {
            Manager manager = socket.io();
            manager.reconnection(false);
            socket.disconnect();
        }
    }

    static synchronized void report(String transport, String capability, String result, String note) {
        try {
            System.out.println(new JSONObject()
                    .put("client", "Java socket.io-client " + version("socket.io-client"))
                    .put("transport", transport).put("capability", capability)
                    .put("result", result).put("note", note));
        } catch (org.json.JSONException e) {
            throw new IllegalStateException(e);
        }
    }

    // version reads the version of a library from the name of its file.
    static String version(String artifact) {
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            String name = new File(path).getName();
            if (name.startsWith(artifact + "-")) {
                return name.substring(artifact.length() + 1, name.length() - ".jar".length());
            }
        }
        return "unknown";
    }
}
