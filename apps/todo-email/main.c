#include "email/part.h"

int main(int argc, char **argv)
{
    return worker_main(&email_spec, argc, argv);
}
