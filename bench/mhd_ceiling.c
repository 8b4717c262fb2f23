/*
 * mhd_ceiling - libmicrohttpd alone: one constant answer, made once.
 *
 *     mhd_ceiling <port> <answer>
 *
 * What is the fastest that a server on this library can be? Nothing is looked
 * up, checked, counted or logged, and one response is shared by all requests
 * of a thread. As many threads as cores, libmicrohttpd's own event loop in
 * each, its settings as Debian has them but for the limit of connections. The
 * file has the answer as headers, an empty line and the body, lines end in LF.
 */
#include <microhttpd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 * 1024, BACKLOG = 4096, CONNECTIONS_MAX = 16384 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The file whole, with a NUL behind it. Never freed. */
static char *read_answer(const char *path)
{
    char *text = calloc(1, ANSWER_MAX + 1);
    FILE *file = fopen(path, "rb");

    if (text == NULL || file == NULL)
        fail(path);
    if (fread(text, 1, ANSWER_MAX, file) == 0)
        fail(path);
    fclose(file);
    return text;
}

/* Cuts the text into pieces, in place; the body stays where it is. */
static struct MHD_Response *make_response(char *text)
{
    char *body = strstr(text, "\n\n");
    struct MHD_Response *response;

    if (body == NULL)
        fail("an answer without an empty line");
    body[1] = '\0';
    body += 2;
    response = MHD_create_response_from_buffer(strlen(body), body,
                                               MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        fail("MHD_create_response_from_buffer");
    for (char *line = strtok(text, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        char *colon = strstr(line, ": ");

        if (colon == NULL)
            fail("a header without a colon");
        *colon = '\0';
        if (MHD_add_response_header(response, line, colon + 2) != MHD_YES)
            fail(line);
    }
    return response;
}

/* Queued in the first call, an answer would close its connection. */
static enum MHD_Result answer(void *cls, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static int seen;

    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_size;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, cls);
}

/* One of several on the same port: the kernel spreads the connections. */
static int listen_at(in_port_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;

    if (listener < 0 ||
        setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, BACKLOG) != 0)
        fail("listen");
    return listener;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: mhd_ceiling <port> <answer>\n");
        return 2;
    }
    in_port_t port = (in_port_t)strtoul(argv[1], NULL, 10);

    signal(SIGPIPE, SIG_IGN);
    for (long i = sysconf(_SC_NPROCESSORS_ONLN); i > 0; i--) {
        struct MHD_Response *response = make_response(read_answer(argv[2]));

        if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
                             answer, response, MHD_OPTION_LISTEN_SOCKET,
                             listen_at(port), MHD_OPTION_CONNECTION_LIMIT,
                             (unsigned)CONNECTIONS_MAX, MHD_OPTION_END) == NULL)
            fail("MHD_start_daemon");
    }
    pause();
    return 0;
}
