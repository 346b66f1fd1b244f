#include "notification/part.h"

int main(int argc, char **argv)
{
    return worker_main(&notification_spec, argc, argv);
}
